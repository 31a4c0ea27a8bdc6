// The one place that decides what an operation does to a message: used by the committer of every
// backend, and again when a journal is replayed. Pure and deterministic: no clock, no randomness.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "spool/spool.h"

namespace mansio::spool {

/// A due entry that must exist, or must no longer exist, after the operation.
struct DueChange {
  FlowKey flow;
  Time due{};
  std::vector<std::uint32_t> recipients;  ///< empty: delete the entry (flow, due, id)
};

/// What changed. The state given to apply() was changed accordingly.
struct Applied {
  Answer answer;
  bool created = false;   ///< the message is new
  bool finished = false;  ///< its last recipient became final: envelope and content may go
  std::vector<std::uint32_t> touched;  ///< recipients whose status changed
  std::vector<DueChange> due;
  std::vector<Event> events;  ///< seq is 0: the committer numbers them
  Totals before, after;       ///< contribution of this message to its tenant's totals
};

/// Applies one operation to `state` (null: the message does not exist). Admit creates the state.
/// A state that readers may hold is never written to: a change puts a changed copy into `state`.
/// Write spool::apply(...) where it is called: std::apply is found otherwise.
/// Finished messages keep their state here; the committer drops it (see Applied::finished).
/// Settle and Change leave their notices to the caller, who applies each as an Admit when
/// answer.status is committed and answer.changed > 0. Claim, Suspend and Record are not taken here
/// (see claim(), suspend() and record()).
Applied apply(const Operation& operation, std::shared_ptr<StoredMessage>& state);

/// Leases the message if it has due recipients in the lane and no lease that runs. Then `claimed`
/// of the answer has one entry; otherwise nothing changed and the answer is `refused`.
Applied claim(const Claim& claim, std::shared_ptr<StoredMessage>& state);

/// Whether the verb changes a recipient in this state.
bool takes(Verb verb, RecipientState state);

/// What Record adds: one event, and nothing else. `state` is null for a message that has gone.
Applied record(const Record& record, const StoredMessage* state);

/// Suspensions by (destination, binding).
using SuspensionTable = std::map<std::pair<std::string, std::string>, Suspension>;

/// Stores or deletes one. Any other answer than `committed` leaves the table as it was.
Answer suspend(const Suspend& suspend, SuspensionTable& table);

/// The message's contribution to the totals of its tenant.
Totals contribution(const StoredMessage* state);

/// The due entries that a message must have now (also used to rebuild and to audit the index).
std::vector<DueChange> due_entries(const StoredMessage& state);

}  // namespace mansio::spool
