// Writes delivery status notifications (RFC 3464): what became of recipients of a message, told to
// its sender or to the postmaster. Pure: identity, time and randomness are passed in, and the same
// request gives the same octets. Thread safety: const calls may run concurrently.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/notice_action.h"
#include "message/message.h"

namespace mansio::dsn {

/// One try, as the text for people shows it.
struct PastAttempt {
  Time at{};
  std::string host;     ///< empty: none was reached
  std::string address;  ///< its "ip:port"
  Reply reply;
};

/// One recipient that the notice tells of.
struct ReportedRecipient {
  std::uint32_t index = 0;  ///< into the original's envelope.recipients
  Action action = Action::failed;
  Disposition disposition;  ///< with the last reply, or what keeps it from being tried
  std::uint32_t tries = 0;  ///< exact
  Time last_attempt{};      ///< epoch zero: it was never tried
  /// The last tries, oldest first; may be fewer than `tries`. The text shows at most
  /// attempts_shown of them, and none if there is but one.
  std::vector<PastAttempt> attempts{};
};

/// Last tries that the text for people lists.
constexpr std::size_t attempts_shown = 5;

/// One notice names at most so many recipients; for more, ask for another (a reader of reports may
/// stop at some number, and a notice should stay readable).
constexpr std::size_t recipients_per_notice = 100;

/// Who reads it.
enum class Audience : std::uint8_t {
  sender,
  postmaster,     ///< a copy of what the sender is told
  double_bounce,  ///< the postmaster, since a notice to a sender failed
};

struct NoticeRequest {
  const Message& original;
  std::vector<ReportedRecipient> recipients;  ///< not empty; the actions may differ
  Audience audience = Audience::sender;
  Address to;                             ///< the sender of the original, or the postmaster
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

/// The port: a site may build its notices another way, or none at all. Whether a notice is wanted
/// was decided before, and the engine's guards come after it: whatever a builder returns is sent
/// with the null reverse-path to the one address of the request.
class BounceBuilder {
 public:
  virtual ~BounceBuilder() = default;
  /// nullopt: no notice is to be sent. An exception: the engine's own is sent instead.
  virtual std::optional<Notice> build(const NoticeRequest& request) const = 0;
};

/// The text of a notice for people: UTF-8, any line ends.
using HumanText = std::function<std::string(const NoticeRequest&)>;

/// The engine's own: multipart/report of RFC 6522 with a text for people, the report of RFC 3464
/// (RFC 6533 where the notice travels as internationalised mail), and the original or its header
/// section. The notice has the null reverse-path and NOTIFY=NEVER, so that nothing can answer it.
/// `text`: replaces the words for people; the fields for programs stay the engine's.
std::unique_ptr<BounceBuilder> make_bounce_builder(HumanText text = {});

/// True if this notice goes out as internationalised mail (RFC 6533): its reader's address needs it
/// in any case. Others are written in 7 bits, so that every host can carry them.
bool is_international(const NoticeRequest& request);

}  // namespace mansio::dsn
