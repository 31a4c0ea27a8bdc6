// Writes the failure notice (delivery status notification, RFC 3464) about recipients of a message
// that will not get it. Pure: identity, time and randomness are passed in, and the same request
// gives the same octets. Thread safety: const calls may run concurrently.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "message/message.h"

namespace mansio::dsn {

/// How much of the original a notice returns.
enum class Returned : std::uint8_t { nothing, headers, full };

/// One recipient with a final outcome `failed` or `expired`.
struct FailedRecipient {
  std::uint32_t index = 0;  ///< into the original's envelope.recipients
  Disposition disposition;  ///< final, with the last reply
  std::uint32_t tries = 0;
  Time last_attempt{};  ///< epoch zero: it was never tried
};

/// One notice names at most so many recipients; for more, ask for another (a reader of reports may
/// stop at some number, and a notice should stay readable).
constexpr std::size_t recipients_per_notice = 100;

struct NoticeRequest {
  const Message& original;
  std::vector<FailedRecipient> failed;    ///< not empty
  std::string hostname;                   ///< of this server: Reporting-MTA and MAILER-DAEMON@
  Returned returned = Returned::headers;  ///< what returned_part() answered
  std::string_view octets;       ///< of the original: at least that part, from its beginning
  std::uint64_t return_max = 0;  ///< octets of it in the notice; headers are cut at a line
  QueueId id;                    ///< of the notice and its content
  Time now{};
  Duration lifetime{};       ///< of the notice in the queue
  std::uint64_t random = 0;  ///< makes the MIME boundary unguessable
};

/// A message ready to be admitted. Left to the caller: `message.lanes`.
struct Notice {
  Message message;  ///< content.octets is set, content.facts describe them
};

/// RFC 3461 §5.2, 6.1 and RFC 5321 §6.1: whether the sender is to hear that delivery to a recipient
/// with this NOTIFY failed. Never for the null reverse-path, never about a notice of ours.
bool notice_wanted(const Message& original, const DsnNotify& notify);

/// What of the original goes back: RET decides where the sender gave it, else `fallback`. Content
/// over `return_max` octets is never returned in full. Tells the caller what to load: nothing, the
/// first min(header_size, return_max) octets, or everything.
Returned returned_part(const Message& original, Returned fallback, std::uint64_t return_max);

/// The port: a site may build its notices another way, or none at all.
class BounceBuilder {
 public:
  virtual ~BounceBuilder() = default;
  /// nullopt: no notice is to be sent. Whether one is wanted was asked before (notice_wanted()).
  virtual std::optional<Notice> build(const NoticeRequest& request) const = 0;
};

/// The engine's own: multipart/report of RFC 6522 with a text for people, the report of RFC 3464,
/// and the original or its header section. The notice has the null reverse-path and NOTIFY=NEVER,
/// so that nothing can answer it.
std::unique_ptr<BounceBuilder> make_bounce_builder();

}  // namespace mansio::dsn
