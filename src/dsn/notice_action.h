// Who is told what about a recipient, and how much of the message goes back: RFC 3461 as one
// decision over NOTIFY, RET, the next hop and the outcome. Nothing else in the engine decides this.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "message/message.h"

namespace mansio::dsn {

/// What a notice says of a recipient (RFC 3464 §2.3.3).
enum class Action : std::uint8_t { failed, delayed, relayed, delivered };
const char* to_text(Action action);

/// Where a positive reply leaves the message.
enum class NextHop : std::uint8_t {
  relay,  ///< another mail server, by SMTP: it may still fail there
  final,  ///< the end of its way: LMTP, a target in this process, discarded (RFC 3461 §5.2.3)
};

/// Why nobody is told.
enum class Silence : std::uint8_t {
  none,
  null_path,     ///< the message has no sender (RFC 3461 §5.2, RFC 5321 §4.5.5)
  about_notice,  ///< it is a notice of ours (RFC 5321 §6.1)
  never,         ///< NOTIFY=NEVER
  not_asked,     ///< NOTIFY lists other events; success is never told unasked
  peer_reports,  ///< the next hop took over the duty (RFC 3461 §5.2.1)
};
const char* to_text(Silence silence);

struct NoticeDecision {
  std::optional<Action> action;     ///< absent: nobody is told
  Silence silence = Silence::none;  ///< then why
};

/// `recipient`: an index into the envelope. A disposition that is deferred asks for `delayed`: the
/// caller asks only when the recipient has waited long enough.
NoticeDecision notice_action(const Message& original, std::uint32_t recipient,
                             const Disposition& disposition, NextHop next_hop);

/// How much of the original a notice returns.
enum class Returned : std::uint8_t { nothing, headers, full };

/// RET decides where the sender gave it, else `fallback`. In full only if the notice tells of a
/// failure (RFC 3461 §4.3), and the content has at most `return_max` octets and is no BINARYMIME
/// content, which a notice could not carry. Tells the caller what
/// to load: nothing, the first min(header_size, return_max) octets, or everything.
Returned returned_part(const Message& original, bool tells_of_failure, Returned fallback,
                       std::uint64_t return_max);

/// True if the header section says that the message went to many: a List-* field (RFC 2369, 2919)
/// or Precedence: bulk, list or junk. Nobody waits for notices of delay about such mail.
bool is_bulk(std::string_view header);

}  // namespace mansio::dsn
