#include "smtp/command.h"

#include <array>
#include <optional>
#include <vector>

#include "base/text.h"
#include "message/original_recipient.h"
#include "message/utf8.h"
#include "message/xtext.h"

namespace mansio::smtp {
namespace {

// RFC 3461 §4.4 and 5.4: the longest ENVID.
constexpr std::size_t envelope_id_octets_max = 100;
constexpr std::size_t client_name_octets_max = 255;

struct VerbName {
  std::string_view name;
  Verb verb;
};

constexpr std::array verb_names{
    VerbName{"MAIL", Verb::mail},       VerbName{"RCPT", Verb::rcpt},
    VerbName{"DATA", Verb::data},       VerbName{"EHLO", Verb::ehlo},
    VerbName{"HELO", Verb::helo},       VerbName{"LHLO", Verb::lhlo},
    VerbName{"RSET", Verb::rset},       VerbName{"NOOP", Verb::noop},
    VerbName{"QUIT", Verb::quit},       VerbName{"STARTTLS", Verb::starttls},
    VerbName{"VRFY", Verb::vrfy},       VerbName{"EXPN", Verb::expn},
    VerbName{"HELP", Verb::help},       VerbName{"AUTH", Verb::auth},
    VerbName{"BDAT", Verb::bdat},       VerbName{"GET", Verb::foreign},
    VerbName{"POST", Verb::foreign},    VerbName{"PUT", Verb::foreign},
    VerbName{"HEAD", Verb::foreign},    VerbName{"DELETE", Verb::foreign},
    VerbName{"OPTIONS", Verb::foreign}, VerbName{"CONNECT", Verb::foreign},
    VerbName{"PATCH", Verb::foreign},   VerbName{"TRACE", Verb::foreign},
};

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Reply syntax(std::string text) { return {501, {5, 5, 4}, std::move(text)}; }

/// Reads "FROM:" or "TO:" and the path. Spaces after the colon are common and harmless.
std::variant<Path, Reply> read_path(std::string_view argument, std::string_view keyword,
                                    EnhancedCode bad_path) {
  if (argument.size() < keyword.size() ||
      !equals_ignoring_case(argument.substr(0, keyword.size()), keyword)) {
    return syntax("Syntax: " + std::string(keyword) + "<address>");
  }
  // Whether UTF-8 is allowed stands behind the path.
  auto path = parse_path(trim_spaces(argument.substr(keyword.size())), true);
  if (path.has_value()) return *path;
  return Reply{501, bad_path, "Bad address: " + path.error().message()};
}

Reply needs_smtputf8() { return {553, {5, 6, 7}, "Address needs the parameter SMTPUTF8 of MAIL"}; }

struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

bool valid_keyword(std::string_view keyword) {
  auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (keyword.empty() || !alphanumeric(keyword.front())) return false;
  for (char c : keyword) {
    if (!alphanumeric(c) && c != '-') return false;
  }
  return true;
}

/// esmtp-param of RFC 5321 §4.1.2. Takes the first of `rest`; nullopt: syntax error.
std::optional<Parameter> next_parameter(std::string_view& rest) {
  const auto end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest = trim_spaces(rest.substr(end));
  const auto equals = word.find('=');
  Parameter parameter{word.substr(0, equals), std::nullopt};
  if (!valid_keyword(parameter.keyword)) return std::nullopt;
  if (equals != std::string_view::npos) {
    const std::string_view value = word.substr(equals + 1);
    if (value.empty()) return std::nullopt;
    for (char c : value) {
      // UTF-8 is left to those who know the parameter (RFC 6531 §3.3 extends esmtp-value by it).
      const auto octet = static_cast<unsigned char>(c);
      if (octet <= ' ' || octet == '=' || octet == 0x7f) return std::nullopt;
    }
    parameter.value = value;
  }
  return parameter;
}

/// Walks over the parameters: duplicates and syntax are refused here, the rest by `take`, which
/// gives nullopt when it took the parameter.
template <class Take>
std::optional<Reply> each_parameter(std::string_view rest, Take take) {
  std::array<std::string_view, 16> seen;
  std::size_t count = 0;
  rest = trim_spaces(rest);
  while (!rest.empty()) {
    const auto parameter = next_parameter(rest);
    if (!parameter) return syntax("Syntax error in parameters");
    for (std::size_t i = 0; i < count; ++i) {
      if (equals_ignoring_case(seen[i], parameter->keyword)) {
        return syntax("Parameter " + to_lower(parameter->keyword) + " given twice");
      }
    }
    if (count == seen.size()) return syntax("Too many parameters");
    seen[count++] = parameter->keyword;
    if (auto refusal = take(*parameter)) return refusal;
  }
  return std::nullopt;
}

Reply not_offered(const Parameter& parameter) {
  return {555,
          {5, 5, 4},
          "Parameter " + std::string(parameter.keyword) + " is not available in this version"};
}

Reply bad_value(const Parameter& parameter) {
  return syntax("Bad value of parameter " + std::string(parameter.keyword));
}

bool is(const Parameter& parameter, std::string_view keyword) {
  return equals_ignoring_case(parameter.keyword, keyword);
}

bool value_is(const Parameter& parameter, std::string_view value) {
  return parameter.value && equals_ignoring_case(*parameter.value, value);
}

/// RFC 3461 §4.4: what is encoded is printable, so that a report can carry it.
bool valid_envelope_id(std::string_view text) {
  if (text.empty() || text.size() > envelope_id_octets_max) return false;
  const std::optional<std::string> decoded = from_xtext(text);
  if (!decoded) return false;
  for (const char c : *decoded) {
    if (c < ' ' || c > '~') return false;
  }
  return true;
}

std::optional<Reply> take_mail_parameter(const Parameter& parameter, MailCommand& command) {
  if (is(parameter, "SIZE")) {
    const auto size = parameter.value ? parse_decimal(*parameter.value) : std::nullopt;
    if (!size) return bad_value(parameter);
    command.size = *size;
    return std::nullopt;
  }
  if (is(parameter, "BODY")) {
    if (value_is(parameter, "7BIT")) {
      command.body = BodyType::seven_bit;
    } else if (value_is(parameter, "8BITMIME")) {
      command.body = BodyType::eight_bit_mime;
    } else if (value_is(parameter, "BINARYMIME")) {
      command.body = BodyType::binary_mime;
    } else {
      return bad_value(parameter);
    }
    return std::nullopt;
  }
  if (is(parameter, "RET")) {
    if (value_is(parameter, "FULL")) {
      command.dsn_return = DsnReturn::full;
    } else if (value_is(parameter, "HDRS")) {
      command.dsn_return = DsnReturn::headers;
    } else {
      return bad_value(parameter);
    }
    return std::nullopt;
  }
  if (is(parameter, "ENVID")) {
    if (!parameter.value || !valid_envelope_id(*parameter.value)) return bad_value(parameter);
    command.envelope_id = *parameter.value;
    return std::nullopt;
  }
  if (is(parameter, "SMTPUTF8")) {
    if (parameter.value) return bad_value(parameter);
    command.smtputf8 = true;
    return std::nullopt;
  }
  return not_offered(parameter);
}

/// NOTIFY= of RFC 3461 §4.1: NEVER alone, or a list without it. nullopt: anything else.
std::optional<DsnNotify> parse_notify(std::string_view value) {
  DsnNotify notify;
  notify.present = true;
  if (equals_ignoring_case(value, "NEVER")) {
    notify.never = true;
    return notify;
  }
  for (std::string_view word : split(value, ',')) {
    bool* flag = nullptr;
    if (equals_ignoring_case(word, "SUCCESS")) flag = &notify.success;
    if (equals_ignoring_case(word, "FAILURE")) flag = &notify.failure;
    if (equals_ignoring_case(word, "DELAY")) flag = &notify.delay;
    if (flag == nullptr || *flag) return std::nullopt;
    *flag = true;
  }
  return notify;
}

std::optional<Reply> take_rcpt_parameter(const Parameter& parameter, Recipient& recipient,
                                         bool smtputf8) {
  if (is(parameter, "NOTIFY")) {
    const auto notify = parameter.value ? parse_notify(*parameter.value) : std::nullopt;
    if (!notify) return bad_value(parameter);
    recipient.notify = *notify;
    return std::nullopt;
  }
  if (is(parameter, "ORCPT")) {
    if (!parameter.value || !valid_original_recipient(*parameter.value, smtputf8)) {
      return bad_value(parameter);
    }
    recipient.original_recipient = *parameter.value;
    return std::nullopt;
  }
  return not_offered(parameter);
}

}  // namespace

CommandLine parse_command_line(std::string_view line) {
  const auto end = std::min(line.find(' '), line.size());
  CommandLine command{Verb::unknown, trim_spaces(line.substr(end))};
  const std::string_view word = line.substr(0, end);
  for (const VerbName& known : verb_names) {
    if (!equals_ignoring_case(word, known.name)) continue;
    command.verb = known.verb;
    break;
  }
  return command;
}

bool has_control_octets(std::string_view line) {
  for (char c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return true;
  }
  return false;
}

bool valid_client_name(std::string_view name) {
  if (name.empty() || name.size() > client_name_octets_max) return false;
  for (char c : name) {
    if (c <= ' ' || c >= 0x7f) return false;
  }
  return true;
}

bool announces_octets(std::string_view line) {
  const std::string_view word = line.substr(0, std::min(line.find(' '), line.size()));
  return equals_ignoring_case(word.substr(0, 4), "BDAT");
}

std::variant<MailCommand, Reply> parse_mail(std::string_view argument) {
  auto parsed = read_path(argument, "FROM:", {5, 1, 7});
  if (auto* refusal = std::get_if<Reply>(&parsed)) return std::move(*refusal);
  auto& path = std::get<Path>(parsed);
  if (path.address.domain.empty() && !path.address.is_null()) {
    return Reply{501, {5, 1, 7}, "Bad address: the sender needs a domain"};
  }
  MailCommand command;
  command.reverse_path = std::move(path.address);
  auto take = [&](const Parameter& parameter) { return take_mail_parameter(parameter, command); };
  if (auto refusal = each_parameter(path.rest, take)) return std::move(*refusal);
  if (command.reverse_path.needs_utf8() && !command.smtputf8) return needs_smtputf8();
  return command;
}

std::variant<Recipient, Reply> parse_rcpt(std::string_view argument, bool smtputf8) {
  auto parsed = read_path(argument, "TO:", {5, 1, 3});
  if (auto* refusal = std::get_if<Reply>(&parsed)) return std::move(*refusal);
  auto& path = std::get<Path>(parsed);
  if (path.address.is_null()) {
    return Reply{501, {5, 1, 3}, "Bad address: a recipient cannot be empty"};
  }
  if (path.address.needs_utf8() && !smtputf8) return needs_smtputf8();
  Recipient recipient;
  recipient.address = std::move(path.address);
  recipient.original = recipient.address;
  auto take = [&](const Parameter& parameter) {
    return take_rcpt_parameter(parameter, recipient, smtputf8);
  };
  if (auto refusal = each_parameter(path.rest, take)) return std::move(*refusal);
  return recipient;
}

std::optional<BdatCommand> parse_bdat(std::string_view argument) {
  constexpr std::uint64_t size_limit = std::uint64_t{1} << 63;
  const std::string_view number = argument.substr(0, std::min(argument.find(' '), argument.size()));
  const std::string_view rest = trim_spaces(argument.substr(number.size()));
  const auto size = parse_decimal(number);
  if (!size || *size >= size_limit) return std::nullopt;
  if (!rest.empty() && !equals_ignoring_case(rest, "LAST")) return std::nullopt;
  return BdatCommand{*size, !rest.empty()};
}

}  // namespace mansio::smtp
