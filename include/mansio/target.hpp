// The target contract: how a message is handed to whatever delivers it. SMTP and LMTP implement it,
// a scripted target in the tests, and mansio::Queue itself, so that queues can be chained.
//
//   start → add_recipient × n → (body | body_with_status) → commit      or abort at any point
//
// What a failure means, and the engine relies on nothing else:
//   start fails                        all recipients get that disposition
//   add_recipient fails                that recipient gets it
//   no recipient was accepted          abort, the body is never sent
//   body or commit fails               every accepted recipient gets it
//   body_with_status                   each accepted recipient gets its own; one without a status is
//                                      deferred and counted as a fault
//   all accepted recipients failed     abort, otherwise commit
//
// A disposition with outcome `delivered` means success at every step. Unknown means defer.
// Runs on: the event loop of the caller; one call at a time; the target outlives its deliveries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/stream.h"
#include "message/message.h"

namespace mansio {

/// Reads the octets of a message, wherever they are.
class ContentReader {
 public:
  virtual ~ContentReader() = default;
  /// At most `length` octets from `offset`; fewer only at the end.
  virtual Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t length) = 0;
  /// All octets if they are in memory already, else null: then read in pieces.
  virtual std::shared_ptr<const std::string> in_memory() const = 0;
};

class Delivery {
 public:
  virtual ~Delivery() = default;
  virtual Task<Disposition> add_recipient(const Recipient& recipient) = 0;
  virtual Task<Disposition> body(ContentReader& content) = 0;
  /// True: body_with_status() is to be called instead of body().
  virtual bool has_status() const { return false; }
  /// One per accepted recipient, in the order of acceptance; fewer means missing.
  virtual Task<std::vector<Disposition>> body_with_status(ContentReader& content);
  virtual Task<Disposition> commit() = 0;
  virtual Task<void> abort() = 0;
};

struct Started {
  std::unique_ptr<Delivery> delivery;  ///< null: start failed
  Disposition disposition;             ///< of the failure
};

class Target {
 public:
  virtual ~Target() = default;
  /// `message` and its envelope stay valid until the delivery is committed or aborted.
  virtual Task<Started> start(const Message& message) = 0;
};

/// Runs the contract above for the given recipients; the result has one disposition for each, in
/// their order. `faults` counts statuses that the target left out.
Task<std::vector<Disposition>> deliver_to(Target& target, const Message& message,
                                          const std::vector<std::uint32_t>& recipients,
                                          ContentReader& content, std::uint64_t& faults);

}  // namespace mansio
