// The durable store of messages: an interface in an operator's verbs, with compound atomic
// operations and no setters. Backends: memory/ (tests, simulation), file/ (journal and index).
// One contract suite runs over all of them (spool_contract_test.cc).
//
// Rules
//  1. Only the committer of a backend changes durable state. It applies operations in the order of
//     submission, through the one Ledger (ledger.h): a second outcome for a recipient, an unknown
//     index or a stale epoch is refused; totals are its own.
//  2. `committed` means durable: one sync has covered the operation. `unknown` means that a write
//  or
//     sync failed and nobody can say; the spool is latched then and takes nothing more.
//  3. Ids are made by the caller and are the key: admitting an id again with the same content is
//     answered `committed` and changes nothing; with other content `refused`.
//  4. Nothing unreadable is deleted: it is quarantined, counted and reported, and the rest goes on.
//  5. Answers come on a thread of the spool (memory: inside submit), one vector per sink and group.
//
// Thread safety: every function from any thread, unless it says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "message/message.h"
#include "spool/selector.h"

namespace mansio::spool {

// ---- operations -------------------------------------------------------------------------------

/// Accept a message: content, envelope, every recipient, its due entries and the `accepted` event.
/// Content: octets in message.content.octets, or null after a ContentWriter for content.id was
/// sealed.
struct Admit {
  Message message;
  std::vector<Time> due;  ///< per recipient
};

struct RecipientOutcome {
  std::uint32_t recipient = 0;  ///< index in the envelope
  Disposition disposition;
  Time next_due{};  ///< for a deferral
};

/// The end of an attempt: outcomes, next due times and the notices that they cause, as one.
struct Settle {
  QueueId id;
  std::uint64_t epoch = 0;  ///< of the lease it was worked under; 0 for the engine's own delivery
  Time at{};
  std::vector<RecipientOutcome> outcomes;
  std::vector<Admit> notices;  ///< admitted only if at least one outcome is applied
};

/// An operator's change to some recipients of a message. Applies to those in a state that the verb
/// takes; the answer counts them. Recipients that are final never change.
enum class Verb : std::uint8_t {
  make_due,       ///< queued → queued, due at `due`; counts neither a try nor a retry
  hold,           ///< queued, in_doubt → held
  release,        ///< held, in_doubt, quarantined → queued, due at `due`
  fail,           ///< any but final → failed, with `disposition` and `notices`
  remove,         ///< any but final → removed, no notice
  expire,         ///< any but final → expired, with `disposition` and `notices`
  move,           ///< any but final → moved (content was handed to another queue)
  mark_in_doubt,  ///< queued → in_doubt
  quarantine,     ///< any but final → quarantined
  report_delay,   ///< any but final: its sender is told that it waits; delay_notices + 1, `notices`
};
const char* to_text(Verb verb);

struct Change {
  QueueId id;
  Verb verb = Verb::make_due;
  std::vector<std::uint32_t> recipients;  ///< empty: all of the message
  Time at{};
  Time due{};
  Disposition disposition;
  std::string reason;  ///< for people; goes to the history
  std::string actor;   ///< who: "operator root", "engine"
  std::vector<Admit> notices;
};

/// Exclusive, time-limited right to work on due messages of a lane, for programs that dequeue.
struct Claim {
  LaneKey lane;
  std::string holder;
  Time at{};
  Time until{};
  std::uint32_t limit = 1;
};

/// Extend (`until` later) or give up (`until` == at) a lease.
struct Renew {
  QueueId id;
  std::uint64_t epoch = 0;
  Time at{};
  Time until{};
};

/// Lanes that an operator stopped. At most one per (destination, binding): a second one replaces
/// it.
struct Suspension {
  std::string destination;  ///< a pattern: exact, "*.suffix" or "*"
  std::string binding;      ///< empty: all
  Time since{};
  Time until{};  ///< epoch zero: until somebody resumes it
  std::string reason;
  std::string actor;
  friend bool operator==(const Suspension&, const Suspension&) = default;
};

/// Stores a suspension, or with `resume` deletes the one for its destination and binding
/// (`missing` if there is none). Holds across restarts; what it means is the queue's business.
/// Refused: no destination, more than suspensions_max of them, texts over suspension_text_max
/// octets or with control characters.
struct Suspend {
  Suspension suspension;
  bool resume = false;
};

inline constexpr std::size_t suspensions_max = 1000;
inline constexpr std::size_t suspension_text_max = 1000;

/// Adds to the history of a message and to the events what was learned about it later, such as the
/// notice of another server: an event `bounced`. The message may be gone; nothing else changes.
/// Refused: no id, or a recipient that the message, while it is here, does not have.
struct Record {
  QueueId id;
  Time at{};
  std::optional<std::uint32_t> recipient;
  std::string recipient_address;
  std::string tenant;
  Disposition disposition;
  std::string reason;
  std::string actor;
};

using Operation = std::variant<Admit, Settle, Change, Claim, Renew, Suspend, Record>;

// ---- answers ----------------------------------------------------------------------------------

enum class Status : std::uint8_t {
  committed,
  missing,  ///< no such message
  refused,  ///< against the rules: the detail says which; nothing changed
  fenced,   ///< the epoch is stale
  full,     ///< no room (reserve, quota, queue of the committer); nothing was written
  corrupt,  ///< the stored record does not decode; it is quarantined
  unknown,  ///< a write or sync failed: promise nothing, send no reply
};
const char* to_text(Status status);

struct Claimed {
  QueueId id;
  std::uint64_t epoch = 0;
  std::vector<std::uint32_t> recipients;
};

struct Answer {
  std::uint64_t tag = 0;  ///< the request's
  Status status = Status::unknown;
  std::uint32_t changed = 0;          ///< recipients whose state changed
  std::uint32_t recipients_left = 0;  ///< of the message, not final
  std::string detail;                 ///< for logs, when not committed
  std::vector<Claimed> claimed;
  /// The request's, given back: who goes on with a message that was admitted needs no copy of it.
  std::unique_ptr<Operation> operation;
};

/// Never without an operation. It holds it by a pointer, since it passes through several queues.
struct Request {
  Request() = default;

  Request(std::uint64_t its_tag, Operation what)
      : Request(its_tag, std::make_unique<Operation>(std::move(what))) {}

  Request(std::uint64_t its_tag, std::unique_ptr<Operation> what)
      : tag(its_tag), operation(std::move(what)) {}

  std::uint64_t tag = 0;  ///< the caller's, comes back in the answer
  std::unique_ptr<Operation> operation;
};

/// Receives answers. Called on a spool thread; must not block and must outlive the spool's stop().
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  virtual void completed(std::vector<Answer> answers) = 0;
};

// ---- reading ----------------------------------------------------------------------------------

/// A message as it is stored now.
struct StoredMessage {
  Message message;  ///< content.octets is null, but see DueEntry
  std::vector<RecipientStatus> recipients;
  std::uint64_t epoch = 0;  ///< of the last lease; 0: never leased
  Time lease_until{};
};

using StoredMessagePtr = std::shared_ptr<const StoredMessage>;

using mansio::DueCursor;
using mansio::FlowKey;

/// Recipients of one message in one lane that are due together.
struct DueEntry {
  QueueId id;
  Time due{};
  std::vector<std::uint32_t> recipients;
  StoredMessagePtr message;  ///< with content.octets if they were kept
};

/// Keeps content that a page brings along, within a budget of the caller's. Null: no room. Called
/// on a reader thread.
using KeepContent = std::function<std::shared_ptr<const std::string>(std::string)>;

struct DuePage {
  std::vector<DueEntry> entries;  ///< in (due, id) order; leased messages are left out
  bool end = false;               ///< nothing after the last entry
};

struct FlowSummary {
  FlowKey flow;
  std::uint64_t queued = 0;  ///< recipients with a due entry
  Time earliest{};           ///< low-water mark: nothing is due before it
};

struct LaneSummary {
  LaneKey lane;
  std::uint64_t queued = 0;  ///< recipients not final
  std::uint64_t held = 0;
  Time oldest{};  ///< acceptance of the oldest, approximate
};

enum class EventKind : std::uint8_t {
  accepted,
  delivered,
  deferred,
  failed,
  expired,
  removed,
  moved,
  retried,
  held,
  released,
  in_doubt,
  quarantined,
  notice,  ///< the id of ours is the reason; with a recipient: its sender was told of the delay
  bounced  ///< another server reported later what became of it (Record)
};
const char* to_text(EventKind kind);

/// One line of a message's history, and of the event stream.
struct HistoryEntry {
  std::uint64_t seq = 0;  ///< grows over the whole spool
  Time at{};
  EventKind kind = EventKind::accepted;
  std::optional<std::uint32_t> recipient;  ///< index; none: the whole message
  std::string recipient_address;
  std::uint32_t attempt = 0;  ///< the recipient's tries after it
  Disposition disposition;
  Time next_due{};  ///< for a deferral
  std::string reason;
  std::string actor;
};

struct Event {
  QueueId id;
  HistoryEntry entry;
  std::uint64_t size = 0;
  std::string tenant;
  LaneKey lane;  ///< of the recipient; empty for whole-message events
};

struct EventPage {
  std::vector<Event> events;
  std::uint64_t next_seq = 0;  ///< pass it to the next call
  std::uint64_t lost = 0;      ///< events before the first that are no longer kept
};

/// accepted == delivered + failed + expired + removed + moved + queued, always. Unit: recipients.
struct Totals {
  std::uint64_t accepted = 0, delivered = 0, failed = 0, expired = 0, removed = 0, moved = 0;
  std::uint64_t queued = 0;                               ///< every recipient that is not final
  std::uint64_t held = 0, in_doubt = 0, quarantined = 0;  ///< parts of queued
  std::uint64_t messages = 0;  ///< messages with a recipient that is not final
  std::uint64_t octets = 0;    ///< content of those messages

  bool balanced() const {
    return accepted == delivered + failed + expired + removed + moved + queued;
  }

  Totals& operator+=(const Totals& other);
  Totals& operator-=(const Totals& other);
  friend bool operator==(const Totals&, const Totals&) = default;
};

struct TenantTotals {
  std::string tenant;
  Totals totals;
};

struct ListPage {
  std::vector<StoredMessagePtr> messages;  ///< at least one recipient matches
  std::string resume;                      ///< opaque; empty: the end
};

struct LanePage {
  std::vector<LaneSummary> lanes;
  std::string resume;
};

struct FlowPage {
  std::vector<FlowSummary> flows;
  std::string resume;
};

template <class T>
using Done = std::function<void(Result<T>)>;

/// Errors of reads (category "spool").
enum class Errc {
  missing = 1,
  corrupt,
  io,
  stopped,
  latched,
  invalid,  ///< a resume token that is not of this spool
};
ErrorCode make_error_code(Errc error);

/// Writes large content ahead of its admit. Destroyed unsealed: the octets are discarded.
/// Not thread safe; one append at a time.
class ContentWriter {
 public:
  virtual ~ContentWriter() = default;
  /// `done` on a spool thread, once the piece is taken over; errors: io, latched.
  virtual void append(std::string piece, Done<void> done) = 0;
  /// Syncs content and name. Admit may refer to the content afterwards.
  virtual void seal(Done<void> done) = 0;
};

/// Marks the transaction whose final dot is about to be sent, in a file that survives a crash of
/// the process. Cheap: two memory writes. Release it when the outcome was committed.
class AttemptMark {
 public:
  virtual ~AttemptMark() = default;  ///< clears the mark
};

/// A mark that survived: the process ended between the final dot and the committed outcome.
struct InDoubt {
  QueueId id;
  std::vector<std::uint32_t> recipients;
  std::uint32_t attempt = 0;  ///< see Spool::mark_attempt
};

/// Why a spool cannot be opened, with the exit status that the daemon ends with.
class OpenError : public std::runtime_error {
 public:
  /// `exit_status`: 73 locked by another process, 74 I/O, 76 damaged, foreign, unexpectedly empty
  /// or newer.
  OpenError(int exit_status, const std::string& what)
      : std::runtime_error(what), exit_status_(exit_status) {}

  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

enum class Health : std::uint8_t {
  ok,
  reserve,  ///< free space is below the reserve: admits are answered `full`, settling goes on
  latched,  ///< a write or sync failed; everything is answered `unknown`
};

class Spool {
 public:
  virtual ~Spool() = default;

  // The daemon's side
  virtual void submit(std::vector<Request> requests, CompletionSink& sink) = 0;
  virtual std::unique_ptr<ContentWriter> open_content(const QueueId& content_id) = 0;
  /// Sealed content that will not be admitted after all goes; content of any message stays.
  virtual void discard_content(const QueueId& content_id) = 0;
  /// `attempt`: the number of this attempt, the recipients' highest `tries` before it plus one. A
  /// recipient with tries >= attempt at opening has had its outcome and is not in doubt.
  /// `durable`: the mark is synced before it returns (in_doubt = "hold"); it then may block. Null:
  /// that failed; the final dot must not be sent. Never null if not `durable`.
  virtual std::unique_ptr<AttemptMark> mark_attempt(const QueueId& id,
                                                    std::span<const std::uint32_t> recipients,
                                                    std::uint32_t attempt, bool durable) = 0;
  /// Marks found at opening for recipients that had no outcome. The first call returns them.
  virtual std::vector<InDoubt> take_in_doubt() = 0;

  // Reading; `done` on a reader thread (memory: inside the call)
  /// At most `limit` entries of one flow after `after` (from the start if absent). Small content is
  /// read along and offered to `keep` (may be empty); a page ends soon after that takes no more.
  /// What is missing or has a wrong checksum is left to read_content().
  virtual void due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                        KeepContent keep, Done<DuePage> done) = 0;
  virtual void flows(std::string resume, std::size_t limit, Done<FlowPage> done) = 0;
  virtual void lanes(std::string resume, std::size_t limit, Done<LanePage> done) = 0;
  /// Missing or unreadable ids are left out of the answer.
  virtual void get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done) = 0;
  virtual void list(const Selector& selector, std::string resume, std::size_t limit,
                    Done<ListPage> done) = 0;
  /// `length` octets from `offset`, fewer at the end. A wrong checksum quarantines the message and
  /// gives Errc::corrupt; whole reads (offset 0, length >= size) check it always.
  virtual void read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                            Done<std::string> done) = 0;
  /// Complete, oldest first; also for messages that are gone, while [history] keep lasts.
  virtual void history(const QueueId& id, Done<std::vector<HistoryEntry>> done) = 0;
  /// Events with the number `seq` or higher, at most `limit`; the first event has number 1.
  virtual void events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done) = 0;

  // State
  virtual std::vector<TenantTotals> totals() const = 0;
  /// In the order of (destination, binding); from memory. Also those whose time is over.
  virtual std::vector<Suspension> suspensions() const = 0;
  virtual Health health() const = 0;
  /// Called once, on a spool thread, when health becomes latched; the text says why.
  virtual void on_latched(std::function<void(std::string)> notify) = 0;
  /// Numbers for `spool stats` and metrics: name and value, stable names.
  virtual std::vector<std::pair<std::string, double>> statistics() const = 0;
  /// Makes a later start fast; returns when done.
  virtual void checkpoint() = 0;
  /// Commits what was submitted, answers it, writes a clean stop mark. No call after it.
  virtual void stop() = 0;
};

}  // namespace mansio::spool

template <>
struct boost::system::is_error_code_enum<mansio::spool::Errc> : std::true_type {};
