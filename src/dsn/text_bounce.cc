// How a text is read: it is cut where the copy of the original begins; a phrase of the table says
// whose words they are and whether it is a failure or a delay; then each line that is an address,
// or begins with one in angle brackets, starts a recipient, and the lines below it are the reason.
#include "dsn/text_bounce.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "dsn/report_fields.h"

namespace mansio::dsn {
namespace {

struct Phrase {
  std::string_view text;  ///< lower case
  std::string_view dialect;
  ReportAction action;
};

using enum ReportAction;

/// The first that stands in a text decides. Blanks stand for any run of blanks and line ends.
constexpr Phrase phrases[] = {
    {"this is a warning only", "other", delayed},
    {"has been postponed due to", "other", delayed},
    {"this is the qmail-send program", "qmail", failed},
    {"this is a permanent error; i've given up", "qmail", failed},
    {"warning: message still undelivered", "sendmail", delayed},
    {"the following addresses had transient", "sendmail", delayed},
    {"the following addresses had permanent", "sendmail", failed},
    {"the following addresses had delivery", "sendmail", failed},
    {"transcript of session follows", "sendmail", failed},
    {"this is a warning message only", "sendmail", delayed},
    {"your message could not be delivered for more than", "postfix", delayed},
    {"this is the mail system at host", "postfix", failed},
    {"this is the postfix program at host", "postfix", failed},
    {"message has not yet been delivered to", "exim", delayed},
    {"message that you sent has not yet been delivered", "exim", delayed},
    {"a message that you sent could not be delivered", "exim", failed},
    {"this message was created automatically by mail delivery software", "exim", failed},
    {"delivery is delayed to these recipients", "exchange", delayed},
    {"delivery has failed to these recipients", "exchange", failed},
    {"did not reach some or all of the intended recipients", "exchange", failed},
    {"your message to the following recipients couldn't be delivered", "exchange", failed},
    {"delivery incomplete", "gmail", delayed},
    {"delivery to the following recipient has been delayed", "gmail", delayed},
    {"delivery to the following recipient failed permanently", "gmail", failed},
    {"your message wasn't delivered to", "gmail", failed},
    {"we were unable to deliver your message to the following address", "yahoo", failed},
    {"unable to deliver message to the following", "yahoo", failed},
    {"could not be delivered to the following", "other", failed},
    {"could not be delivered to one or more", "other", failed},
    {"delivery to the following recipients failed", "other", failed},
    {"the following recipients could not be reached", "other", failed},
    {"a message that you sent was rejected", "exim", failed},
    {"did not reach the following recipient", "exchange", failed},
    {"failed recipient", "other", failed},
    {"undeliverable message", "other", failed},
    {"undeliverable address", "other", failed},
    {"unable to deliver message to", "other", failed},
    {"unable to deliver your message", "other", failed},
    {"could not deliver message to", "other", failed},
    {"message not delivered to", "other", failed},
    {"message has not been delivered", "other", failed},
    {"cannot be delivered to the following", "other", failed},
    {"no valid recipients were found", "other", failed},
    {"has been returned because", "other", failed},
    {"invalid final delivery", "other", failed},
    {"your message was not delivered", "other", failed},
    {"your message could not be delivered", "other", failed},
    {"delivery to the following recipients was aborted", "other", failed},
    {"delivery status notification (failure)", "other", failed},
    {"delivery status notification (delay)", "other", delayed},
};

/// Lines behind which the original stands.
constexpr std::string_view copy_marks[] = {
    "below this line is a copy of the message",
    "this is a copy of the message",
    "this is a copy of your message",
    "here is a copy of",
    "copy of the original message",
    "original message follows",
    "original message as received",
    "original message headers",
    "- original message -",
    "headers of the original message",
    "message header follows",
    "message text follows",
    "unsent message follows",
    "undelivered message follows",
    "returned message follows",
    "returned mail follows",
    "start of returned message",
    "- returned mail -",
    "lines of the message follow",
    "lines of your original message",
};

/// The host that speaks stands behind these.
constexpr std::string_view host_marks[] = {
    "qmail-send program at ",
    "mail system at host ",
    "program at host ",
    "generating server: ",
};

/// The host that refused stands behind these.
constexpr std::string_view remote_marks[] = {
    "while talking to ",
    "remote server at ",
    "host ",
    " by ",
};

struct Hint {
  std::string_view text;  ///< lower case
  std::uint16_t subject;
  std::uint16_t detail;
};

/// RFC 3463 §3 by what people write.
constexpr Hint hints[] = {
    {"over quota", 2, 2},
    {"quota exceeded", 2, 2},
    {"mailbox is full", 2, 2},
    {"mailbox full", 2, 2},
    {"inbox is full", 2, 2},
    {"user unknown", 1, 1},
    {"unknown user", 1, 1},
    {"no such user", 1, 1},
    {"no such mailbox", 1, 1},
    {"no mailbox here", 1, 1},
    {"does not have a", 1, 1},
    {"doesn't have a", 1, 1},
    {"address not found", 1, 1},
    {"address couldn't be found", 1, 1},
    {"address you entered couldn't be found", 1, 1},
    {"e-mail account does not exist", 1, 1},
    {"mailbox unavailable", 1, 1},
    {"recipient address rejected", 1, 1},
    {"unrouteable address", 1, 2},
    {"host unknown", 1, 2},
    {"host not found", 1, 2},
    {"couldn't find any host", 1, 2},
    {"domain not found", 1, 2},
    {"mailbox disabled", 2, 1},
    {"account disabled", 2, 1},
    {"message too large", 3, 4},
    {"message size exceeds", 3, 4},
    {"too many hops", 4, 6},
    {"connection timed out", 4, 1},
    {"connection refused", 4, 1},
    {"been in the queue too long", 4, 7},
    {"retry timeout exceeded", 4, 7},
    {"blocked", 7, 1},
    {"spam", 7, 1},
    {"relaying denied", 7, 1},
    {"access denied", 7, 1},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Lower case, runs of blanks as one, curly apostrophes straight: what phrases are searched in.
std::string folded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "\xE2\x80\x99") {
      out += '\'';
      i += 2;
    } else if (is_blank(text[i])) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += text[i];
    }
  }
  return to_lower(out);
}

/// The host name or address literal at the front of `text`.
std::string host_at(std::string_view text) {
  const std::size_t end =
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
  std::string_view host = text.substr(0, end);
  while (host.ends_with('.')) host.remove_suffix(1);
  const bool plausible = host.size() <= 255 && host.find('.') != std::string_view::npos;
  return plausible ? std::string(host) : std::string();
}

template <std::size_t count>
std::string host_behind(std::string_view text, const std::string_view (&marks)[count]) {
  const std::string lower = to_lower(text);
  for (const std::string_view mark : marks) {
    for (std::size_t at = lower.find(mark); at != std::string::npos;
         at = lower.find(mark, at + 1)) {
      std::string host = host_at(text.substr(at + mark.size()));
      if (!host.empty()) return host;
    }
  }
  return {};
}

/// True if the whole text is one address.
bool is_address(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || text.size() > 320) return false;
  const std::string_view local = text.substr(0, at);
  const std::string_view domain = text.substr(at + 1);
  const bool quoted = local.size() > 2 && local.front() == '"' && local.back() == '"';
  if (!quoted && local.find_first_of(" \t<>()\",;:") != std::string_view::npos) return false;
  if (domain.empty() || domain.front() == '.' || domain.back() == '.') return false;
  return std::all_of(domain.begin(), domain.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' ||
           c == '-' || c == '_' || c == '[' || c == ']' || static_cast<unsigned char>(c) >= 0x80;
  });
}

struct Line {
  std::string_view text;  ///< trimmed
  bool indented = false;
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    std::string_view inside = line;
    while (!inside.empty() && is_blank(inside.front())) inside.remove_prefix(1);
    while (!inside.empty() && is_blank(inside.back())) inside.remove_suffix(1);
    lines.push_back({inside, !line.empty() && (line.front() == ' ' || line.front() == '\t')});
  }
  return lines;
}

/// An address that begins a recipient, and what stands behind it on the line.
struct Start {
  std::string_view address;
  std::string_view rest;
};

/// "<a@b>: reason", "<a@b>... reason", "a@b", "a@b:", "a@b (a@b)", "a@b: reason".
std::optional<Start> recipient_start(std::string_view line) {
  if (line.starts_with("* ") || line.starts_with("- ")) line = trim(line.substr(2));
  if (line.starts_with('<')) {
    const std::size_t close = line.find('>');
    if (close == std::string_view::npos) return std::nullopt;
    std::string_view address = line.substr(1, close - 1);
    if (address.starts_with("mailto:")) address.remove_prefix(7);
    if (!is_address(address)) return std::nullopt;
    std::string_view rest = line.substr(close + 1);
    while (!rest.empty() &&
           (rest.front() == ':' || rest.front() == '.' || is_blank(rest.front()))) {
      rest.remove_prefix(1);
    }
    return Start{address, rest};
  }
  std::size_t end = std::min(line.find_first_of(" \t("), line.size());
  std::string_view address = line.substr(0, end);
  const bool colon = address.ends_with(':');
  if (colon) address.remove_suffix(1);
  while (address.ends_with('.') && address.size() > 1) address.remove_suffix(1);
  if (!is_address(address)) return std::nullopt;
  const std::string_view rest = trim(line.substr(end));
  // A sentence may begin with an address too; a reason stands behind a colon, an alias in brackets.
  if (!rest.empty() && !colon && rest.front() != '(' && rest.front() != '<') return std::nullopt;
  return Start{address, colon ? rest : std::string_view()};
}

/// An address inside a line of words: "550 5.1.1 <a@b>... User unknown",
/// "Your message wasn't delivered to a@b because".
std::string_view address_inside(std::string_view line) {
  while (!line.empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t,;*"), line.size());
    std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    const std::size_t open = word.find('<');
    if (open != std::string_view::npos) word = word.substr(open + 1, word.find('>') - open - 1);
    constexpr std::string_view around = "'\"()[]{}!?";
    while (!word.empty() && around.find(word.front()) != std::string_view::npos) {
      word.remove_prefix(1);
    }
    while (!word.empty() && (word.back() == '.' || word.back() == ':' ||
                             around.find(word.back()) != std::string_view::npos)) {
      word.remove_suffix(1);
    }
    if (is_address(word)) return word;
  }
  return {};
}

/// Collects recipients in the order of their first naming.
class Recipients {
 public:
  /// Null: there are too many.
  RecipientReport* find_or_add(std::string_view address) {
    const std::string wanted = one_line(address, 320);
    for (RecipientReport& recipient : all_) {
      if (equals_ignoring_case(recipient.final_recipient, wanted)) return &recipient;
    }
    if (all_.size() >= text_recipients_max) return nullptr;
    all_.emplace_back().final_recipient = wanted;
    return &all_.back();
  }

  std::vector<RecipientReport> take() { return std::move(all_); }

  bool empty() const { return all_.empty(); }

 private:
  std::vector<RecipientReport> all_;
};

void add_reason(RecipientReport& recipient, std::string_view text) {
  constexpr std::size_t reason_octets_max = 1000;
  text = trim(text);
  if (text.empty() || recipient.diagnostic.size() >= reason_octets_max) return;
  if (!recipient.diagnostic.empty()) recipient.diagnostic += ' ';
  recipient.diagnostic += one_line(text, reason_octets_max);
}

/// The lines below a recipient, up to an empty one behind some text or to the next recipient.
std::size_t read_reason(const std::vector<Line>& lines, std::size_t i, RecipientReport& recipient) {
  constexpr std::size_t reason_lines_max = 30;
  bool any = !recipient.diagnostic.empty();
  const std::size_t end = std::min(lines.size(), i + reason_lines_max);
  for (; i < end; ++i) {
    const std::string_view line = lines[i].text;
    if (line.empty()) {
      if (any) break;
      continue;
    }
    if (recipient_start(line) || line.starts_with("-----")) break;
    add_reason(recipient, line);
    any = true;
  }
  return i;
}

void read_recipients(const std::vector<Line>& lines, Recipients& recipients) {
  std::string_view spoken_to;  // of a transcript: the address in the last RCPT
  std::size_t i = 0;
  while (i < lines.size()) {
    const std::string_view line = lines[i++].text;
    if (line.starts_with(">>> ")) {
      spoken_to = address_inside(line);
    } else if (line.starts_with("<<< ")) {
      if (line.size() < 5 || (line[4] != '4' && line[4] != '5') || spoken_to.empty()) continue;
      if (RecipientReport* found = recipients.find_or_add(spoken_to)) {
        if (quoted_reply(found->diagnostic).code == 0) add_reason(*found, line.substr(4));
      }
    } else if (const auto start = recipient_start(line)) {
      RecipientReport* found = recipients.find_or_add(start->address);
      if (found == nullptr) continue;
      const bool again = !found->diagnostic.empty();
      if (!again) {
        add_reason(*found, start->rest);
        i = read_reason(lines, i, *found);
      } else if (quoted_reply(found->diagnostic).code == 0) {
        // Named a second time, as Exchange does: now for administrators.
        i = read_reason(lines, i, *found);
      }
    } else if ((line.starts_with('5') || line.starts_with('4')) && quoted_reply(line).code != 0) {
      const std::string_view address = address_inside(line);
      if (address.empty()) continue;
      if (RecipientReport* found = recipients.find_or_add(address)) {
        if (quoted_reply(found->diagnostic).code == 0) add_reason(*found, line);
      }
    }
  }
}

/// Gmail's and others' "wasn't delivered to ADDRESS because".
void read_sentence(std::string_view text, Recipients& recipients) {
  const std::string lower = to_lower(text);
  for (const std::string_view mark :
       {"delivered to ", "deliver to ", "delivering your message to ", "delivery to ", "reach "}) {
    for (std::size_t at = lower.find(mark); at != std::string::npos;
         at = lower.find(mark, at + 1)) {
      std::string_view rest = text.substr(at + mark.size(), 400);
      while (!rest.empty() && (is_blank(rest.front()) || rest.front() == '*'))
        rest.remove_prefix(1);
      const std::string_view word = rest.substr(0, rest.find_first_of(" \t\r\n*"));
      const std::string_view address = address_inside(word);
      if (address.empty()) continue;
      if (RecipientReport* found = recipients.find_or_add(address)) {
        add_reason(*found, rest.substr(word.size()));
      }
      return;
    }
  }
}

/// True for the addresses of those who write bounces, not of those whom they are about.
bool is_of_staff(std::string_view address) {
  const std::string local = to_lower(address.substr(0, address.rfind('@')));
  return local == "mailer-daemon" || local == "postmaster" || local == "abuse" ||
         local == "support" || local == "helpdesk" || local == "root";
}

/// The addresses of a text, each with the line that it stands in and the one below as the reason.
void read_mentioned(const std::vector<Line>& lines, Recipients& recipients) {
  constexpr std::size_t mentioned_max = 10;
  std::size_t found = 0;
  for (std::size_t i = 0; i < lines.size() && found < mentioned_max; ++i) {
    const std::string_view address = address_inside(lines[i].text);
    if (address.empty() || is_of_staff(address)) continue;
    RecipientReport* recipient = recipients.find_or_add(address);
    if (recipient == nullptr || !recipient->diagnostic.empty()) continue;
    ++found;
    add_reason(*recipient, lines[i].text);
    if (i + 1 < lines.size() && address_inside(lines[i + 1].text).empty()) {
      add_reason(*recipient, lines[i + 1].text);
    }
  }
}

/// What the text as a whole says, for recipients whose own lines do not.
struct Whole {
  explicit Whole(std::string_view text)
      : reply(quoted_reply(text)), guess(guessed_status(text, 5)) {
    constexpr std::string_view transcript[] = {"while talking to "};
    talked_to = host_behind(text, transcript);
    const std::size_t mark = text.find("remote server was");
    if (mark != std::string_view::npos) said = text.substr(mark, 500);
  }

  QuotedReply reply;
  EnhancedCode guess;
  std::string talked_to;  ///< the transcript of a session names the host once, above the commands
  std::string_view said;
};

void complete(RecipientReport& recipient, ReportAction action, const Whole& whole) {
  QuotedReply reply = quoted_reply(recipient.diagnostic);
  if (reply.code == 0 && !reply.enhanced.present()) {
    reply = whole.reply;
    add_reason(recipient, whole.said);
  }
  recipient.action = action;
  recipient.status = reply.enhanced;
  if (!recipient.status.present() || recipient.status.klass == 2) {
    const int klass = reply.code != 0 ? reply.code / 100 : action == delayed ? 4 : 5;
    const auto own = static_cast<std::uint8_t>(klass);
    recipient.status = guessed_status(recipient.diagnostic, own);
    if (!recipient.status.present() && whole.guess.present()) {
      recipient.status = {own, whole.guess.subject, whole.guess.detail};
    }
    if (!recipient.status.present()) recipient.status = {own, 0, 0};
  }
  if (reply.code != 0) recipient.diagnostic_type = "smtp";
  recipient.remote_mta = one_line(host_behind(recipient.diagnostic, remote_marks), 255);
  if (recipient.remote_mta.empty()) recipient.remote_mta = one_line(whole.talked_to, 255);
  recipient.permanent = is_permanent(recipient);
}

/// Where the copy of the original begins.
std::size_t copy_begins(std::string_view text) {
  const std::string lower = to_lower(text);
  std::size_t begin = text.size();
  for (const std::string_view mark : copy_marks) begin = std::min(begin, lower.find(mark));
  return begin;
}

std::string message_id_in(std::string_view copy) {
  const std::size_t newline = copy.find('\n');
  if (newline == std::string_view::npos) return {};
  copy.remove_prefix(newline + 1);
  // A few empty lines may stand before the header.
  for (int block = 0; block < 4 && !copy.empty(); ++block) {
    const std::vector<Field> fields = take_fields(copy);
    const std::string_view id = field_value(fields, "Message-ID");
    if (!id.empty()) return one_line(id, 998);
  }
  return {};
}

}  // namespace

QuotedReply quoted_reply(std::string_view text) {
  QuotedReply found;
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] != '4' && text[i] != '5') continue;
    const char before = i == 0 ? ' ' : text[i - 1];
    if (is_digit(before) || before == '.' || before == '@' || (before >= 'a' && before <= 'z') ||
        (before >= 'A' && before <= 'Z')) {
      continue;
    }
    const bool dotted = text[i + 1] == '.';
    if (before == '-' && !dotted) continue;  // "550-5.1.1 ..." is a line of several
    const std::string_view rest = text.substr(i);
    if (is_digit(rest[1]) && is_digit(rest[2])) {
      const char behind = rest.size() > 3 ? rest[3] : ' ';
      const bool ends = behind == ' ' || behind == '-' || behind == '\r' || behind == '\n' ||
                        behind == ':' || behind == '\'' || behind == '#';
      if (ends && found.code == 0 && rest[1] <= '5') {
        found.code = static_cast<std::uint16_t>((rest[0] - '0') * 100 + (rest[1] - '0') * 10 +
                                                (rest[2] - '0'));
      }
    } else if (rest[1] == '.' && !found.enhanced.present()) {
      const std::size_t end = std::min(rest.find_first_not_of("0123456789."), rest.size());
      std::string_view word = rest.substr(0, end);
      if (word.ends_with('.')) word.remove_suffix(1);
      if (const auto code = EnhancedCode::parse(word)) found.enhanced = *code;
    }
    if (found.code != 0 && found.enhanced.present()) break;
  }
  // "550 ... 4.7.1" of two replies is no pair.
  if (found.code != 0 && found.enhanced.present() && found.code / 100 != found.enhanced.klass) {
    found.enhanced = {};
  }
  return found;
}

EnhancedCode guessed_status(std::string_view text, std::uint8_t klass) {
  const std::string lower = folded(text.substr(0, text_octets_max));
  for (const Hint& hint : hints) {
    if (lower.find(hint.text) != std::string::npos) return {klass, hint.subject, hint.detail};
  }
  return {};
}

TextFindings read_text(std::string_view text, std::string_view failed_recipients) {
  text = text.substr(0, text_octets_max);
  TextFindings found;
  const std::size_t copy = copy_begins(text);
  found.original_message_id = message_id_in(text.substr(copy));
  text = text.substr(0, copy);

  const std::string all = folded(text);
  for (const Phrase& phrase : phrases) {
    if (all.find(phrase.text) == std::string::npos) continue;
    found.dialect = phrase.dialect;
    found.action = phrase.action;
    break;
  }
  found.reporting_mta = one_line(host_behind(text, host_marks), 255);

  Recipients recipients;
  const std::vector<Line> lines = lines_of(text);
  read_recipients(lines, recipients);
  for (const std::string_view item : split(failed_recipients.substr(0, 8192), ',')) {
    if (is_address(trim(item))) recipients.find_or_add(trim(item));
  }
  if (recipients.empty()) read_sentence(text, recipients);
  found.recipients = recipients.take();
  if (found.recipients.empty()) {
    Recipients mentioned;
    read_mentioned(lines, mentioned);
    found.mentioned = mentioned.take();
  }
  const ReportAction action = found.action == unknown ? failed : found.action;
  const Whole whole(text);
  for (RecipientReport& recipient : found.recipients) complete(recipient, action, whole);
  for (RecipientReport& recipient : found.mentioned) complete(recipient, action, whole);
  return found;
}

std::string text_of_html(std::string_view html) {
  struct Entity {
    std::string_view name;
    char character;
  };

  constexpr Entity entities[] = {{"&lt;", '<'},   {"&gt;", '>'},    {"&amp;", '&'}, {"&quot;", '"'},
                                 {"&#39;", '\''}, {"&apos;", '\''}, {"&nbsp;", ' '}};
  constexpr std::string_view blocks[] = {"br", "p",  "/p", "div", "/div", "tr",  "/tr", "td",  "li",
                                         "h1", "h2", "h3", "/h1", "/h2",  "/h3", "pre", "/pre"};
  html = html.substr(0, text_octets_max);
  std::string out;
  std::string_view skipped_until;  // the end of a style or script
  for (std::size_t i = 0; i < html.size();) {
    if (html[i] == '<') {
      const std::size_t end = html.find('>', i);
      if (end == std::string_view::npos) break;
      const std::string tag = to_lower(html.substr(i + 1, std::min<std::size_t>(end - i - 1, 16)));
      const std::string_view name =
          std::string_view(tag).substr(0, std::min(tag.find_first_of(" \t\r\n"), tag.size()));
      i = end + 1;
      if (!skipped_until.empty()) {
        if (name == skipped_until) skipped_until = {};
      } else if (name == "style" || name == "script") {
        skipped_until = name == "style" ? "/style" : "/script";
      } else if (std::find(std::begin(blocks), std::end(blocks),
                           name.ends_with('/') ? name.substr(0, name.size() - 1) : name) !=
                 std::end(blocks)) {
        out += '\n';
      }
      continue;
    }
    if (!skipped_until.empty()) {
      ++i;
      continue;
    }
    const auto entity =
        std::find_if(std::begin(entities), std::end(entities),
                     [&](const Entity& e) { return html.substr(i, e.name.size()) == e.name; });
    if (html[i] == '&' && entity != std::end(entities)) {
      out += entity->character;
      i += entity->name.size();
    } else {
      out += html[i] == '\n' || html[i] == '\r' ? ' ' : html[i];
      ++i;
    }
  }
  return out;
}

}  // namespace mansio::dsn
