#include "dsn/notice_action.h"

#include "base/text.h"

namespace mansio::dsn {

namespace {

struct Wish {
  Action action;
  bool wanted;
};

/// What the outcome is called, and whether NOTIFY lists it.
Wish wish(const DsnNotify& notify, Outcome outcome, NextHop next_hop) {
  switch (outcome) {
    case Outcome::delivered:
      return {next_hop == NextHop::relay ? Action::relayed : Action::delivered,
              notify.wants_success()};
    case Outcome::deferred:
      return {Action::delayed, notify.wants_delay()};
    case Outcome::failed:
    case Outcome::expired:
      break;
  }
  return {Action::failed, notify.wants_failure()};
}

}  // namespace

const char* to_text(Action action) {
  switch (action) {
    case Action::failed:
      return "failed";
    case Action::delayed:
      return "delayed";
    case Action::relayed:
      return "relayed";
    case Action::delivered:
      return "delivered";
  }
  return "failed";
}

const char* to_text(Silence silence) {
  switch (silence) {
    case Silence::none:
      return "none";
    case Silence::null_path:
      return "null_path";
    case Silence::about_notice:
      return "about_notice";
    case Silence::never:
      return "never";
    case Silence::not_asked:
      return "not_asked";
    case Silence::peer_reports:
      return "peer_reports";
  }
  return "none";
}

NoticeDecision notice_action(const Message& original, std::uint32_t recipient,
                             const Disposition& disposition, NextHop next_hop) {
  const auto silent = [](Silence why) { return NoticeDecision{std::nullopt, why}; };
  if (original.is_notice) return silent(Silence::about_notice);
  if (original.envelope.reverse_path.is_null()) return silent(Silence::null_path);
  const DsnNotify& notify = original.envelope.recipients.at(recipient).notify;
  if (notify.never) return silent(Silence::never);
  const Wish asked = wish(notify, disposition.outcome, next_hop);
  if (!asked.wanted) return silent(Silence::not_asked);
  if (disposition.outcome == Outcome::delivered && disposition.peer_has_dsn) {
    return silent(Silence::peer_reports);
  }
  return {asked.action, Silence::none};
}

Returned returned_part(const Message& original, bool tells_of_failure, Returned fallback,
                       std::uint64_t return_max) {
  Returned wanted = fallback;
  switch (original.envelope.dsn_return) {
    case DsnReturn::unspecified:
      break;
    case DsnReturn::full:
      wanted = Returned::full;
      break;
    case DsnReturn::headers:
      wanted = Returned::headers;
      break;
  }
  const bool fits = original.content.facts.size <= return_max;
  // A message inside a message may not be encoded, and the notice itself goes as text.
  const bool binary = original.envelope.body == BodyType::binary_mime;
  if (wanted == Returned::full && !(tells_of_failure && fits && !binary)) return Returned::headers;
  return wanted;
}

bool is_bulk(std::string_view header) {
  while (!header.empty()) {
    const std::size_t end = header.find("\r\n");
    const std::string_view line = header.substr(0, end);
    if (line.empty()) return false;
    const std::size_t colon = line.find(':');
    const bool continuation = line.front() == ' ' || line.front() == '\t';
    if (colon != std::string_view::npos && !continuation) {
      const std::string name = to_lower(trim(line.substr(0, colon)));
      const std::string value = to_lower(trim(line.substr(colon + 1)));
      if (name.starts_with("list-")) return true;
      if (name == "precedence" && (value == "bulk" || value == "list" || value == "junk")) {
        return true;
      }
    }
    if (end == std::string_view::npos) return false;
    header.remove_prefix(end + 2);
  }
  return false;
}

}  // namespace mansio::dsn
