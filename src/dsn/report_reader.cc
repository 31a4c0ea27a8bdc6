// What decides, in this order: a complaint says so; a delivery status report says so; a receipt
// says so; an automatic reply that names itself in a field of its own is one; then the words of the
// text are asked; what is left and was sent automatically is an automatic reply.
#include "dsn/report_reader.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dsn/mime_walker.h"
#include "dsn/report_fields.h"
#include "dsn/text_bounce.h"

namespace mansio::dsn {
namespace {

constexpr std::size_t report_octets_max = 1 << 20;      // of a machine-readable part
constexpr std::size_t original_octets_max = 64 * 1024;  // of the original: its header section
constexpr std::size_t texts_max = 8;                    // parts of text that are looked at

/// RFC 3834 §5, and what programs wrote before it.
bool names_itself_automatic(const std::vector<Field>& header) {
  for (const std::string_view name :
       {"X-Autoreply", "X-Autorespond", "X-AutoReply-From", "X-Mail-Autoreply", "Vacation"}) {
    const std::string value = to_lower(field_value(header, name));
    if (!value.empty() && value != "no") return true;
  }
  return equals_ignoring_case(field_value(header, "Precedence"), "auto_reply");
}

bool is_automatic_reply(const std::vector<Field>& header) {
  const std::string automatic = to_lower(field_value(header, "Auto-Submitted"));
  if (automatic.starts_with("auto-replied") || automatic.starts_with("auto-notified")) return true;
  const std::string subject = to_lower(field_value(header, "Subject"));
  for (const std::string_view start : {"automatic reply", "auto reply", "autoreply",
                                       "auto:", "out of office", "out of the office", "vacation"}) {
    if (subject.starts_with(start)) return true;
  }
  return false;
}

/// Whether the header is that of a mail server's own message.
bool is_from_mail_system(const std::vector<Field>& header) {
  const std::string from = to_lower(field_value(header, "From"));
  for (const std::string_view name :
       {"mailer-daemon", "mail delivery s", "postmaster@", "microsoftexchange", "mdaemon",
        "system administrator", "mail_service", "mail-daemon", "maildaemon"}) {
    if (from.find(name) != std::string::npos) return true;
  }
  return trim(field_value(header, "Return-Path")) == "<>";
}

bool subject_says_bounce(const std::vector<Field>& header) {
  const std::string subject = to_lower(field_value(header, "Subject"));
  for (const std::string_view word :
       {"undeliver", "mail failed", "failed mail", "could not be delivered", "user unknown",
        "delivery warning", "returning to sender", "returned mail", "failure notice",
        "delivery fail", "delivery status", "delivery notification", "mail delivery", "nondeliver",
        "non-deliver", "delivery has failed"}) {
    if (subject.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string first_line_of(std::string_view text) {
  for (int lines = 0; lines < 200 && !text.empty(); ++lines) {
    const std::size_t newline = text.find('\n');
    const std::string line = one_line(text.substr(0, newline), 300);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (!trim(line).empty()) return line;
  }
  return {};
}

/// The domain of the author of a bounce, where nothing better names the host.
std::string host_of_author(std::string_view from) {
  const std::size_t at = from.rfind('@');
  if (at == std::string_view::npos) return {};
  return one_line(from.substr(at + 1, from.find_first_of("> \t(,;", at) - at - 1), 255);
}

}  // namespace

const char* to_text(ReportKind kind) {
  constexpr std::array names = {"delivery_status", "bounce",     "feedback",
                                "receipt",         "auto_reply", "other"};
  return names.at(static_cast<std::size_t>(kind));
}

const char* to_text(ReportAction action) {
  constexpr std::array names = {"unknown", "failed", "delayed", "delivered", "relayed", "expanded"};
  return names.at(static_cast<std::size_t>(action));
}

class ReportReader::Collector final : public PartVisitor {
 public:
  std::size_t part_begins(const Part& part) override {
    if (!have_header_) {
      header_ = part.fields;
      report_type_ = to_lower(parameter(part.content_type, "report-type"));
      have_header_ = true;
    }
    if (is_status(part.type)) return report_octets_max;
    if (part.type == "message/feedback-report") return text_octets_max;
    if (part.type == "message/disposition-notification") return 1024;
    if (is_original(part.type)) return original_id_.empty() ? original_octets_max : 0;
    if (is_text(part)) return texts_ < texts_max ? text_octets_max : 0;
    return 0;
  }

  void part_ends(const Part& part, std::string body) override {
    if (is_status(part.type)) {
      has_status_ = true;
      read_delivery_status(body, report_);
    } else if (part.type == "message/feedback-report") {
      has_feedback_ = read_feedback_report(body, report_) || has_feedback_;
    } else if (part.type == "message/disposition-notification") {
      has_receipt_ = true;
    } else if (is_original(part.type)) {
      std::string_view block = body;
      original_id_ = one_line(field_value(take_fields(block), "Message-ID"), 998);
    } else {
      ++texts_;
      const bool html = part.type == "text/html";
      if (!html && text_.empty()) text_ = std::move(body);
      if (html && html_.empty()) html_ = std::move(body);
    }
  }

  Report finish(bool truncated) {
    report_.truncated = report_.truncated || truncated;
    report_.subject = one_line(field_value(header_, "Subject"), 300);
    if (trim(text_).empty() && !html_.empty()) text_ = text_of_html(html_);
    report_.first_line = first_line_of(text_);
    if (report_type_ == "delivery-status" && !has_status_) {
      // The parts did not show, as their boundary is wrong; the fields still say what they are.
      has_status_ = read_delivery_status(text_, report_);
    }
    TextFindings words = read_text(text_, field_value(header_, "X-Failed-Recipients"));
    report_.kind = decide(words);
    take_words(std::move(words));
    report_.original_message_id = original_id_;
    if (original_id_.empty()) {
      report_.original_message_id = one_line(field_value(header_, "In-Reply-To"), 998);
    }
    const bool of_host =
        report_.kind == ReportKind::bounce || report_.kind == ReportKind::delivery_status;
    if (of_host && report_.reporting_mta.empty()) {
      report_.reporting_mta = host_of_author(field_value(header_, "From"));
    }
    return std::move(report_);
  }

 private:
  static bool is_status(std::string_view type) {
    return type == "message/delivery-status" || type == "message/global-delivery-status";
  }

  static bool is_original(std::string_view type) {
    return type == "message/rfc822" || type == "message/global" ||
           type == "message/global-headers" || type == "text/rfc822-headers";
  }

  /// Multiparts without a boundary, and whatever has no type that we know, may hold the words.
  static bool is_text(const Part& part) {
    return part.type == "text/plain" || part.type == "text/html" || part.type.empty() ||
           part.type.starts_with("multipart/") || part.type.find('/') == std::string::npos;
  }

  ReportKind decide(const TextFindings& words) const {
    if (has_feedback_ || report_type_ == "feedback-report") return ReportKind::feedback;
    if (!report_.recipients.empty()) return ReportKind::delivery_status;
    if (has_receipt_ || report_type_ == "disposition-notification") return ReportKind::receipt;
    if (has_status_) return ReportKind::delivery_status;
    if (names_itself_automatic(header_)) return ReportKind::auto_reply;
    const bool of_system = is_from_mail_system(header_);
    const bool names_failed = !field_value(header_, "X-Failed-Recipients").empty();
    if (!words.dialect.empty() || names_failed) return ReportKind::bounce;
    if (of_system && (subject_says_bounce(header_) || !words.recipients.empty())) {
      return ReportKind::bounce;
    }
    return is_automatic_reply(header_) ? ReportKind::auto_reply : ReportKind::other;
  }

  /// What the words add to what the fields said.
  void take_words(TextFindings words) {
    if (original_id_.empty()) original_id_ = std::move(words.original_message_id);
    const bool status = report_.kind == ReportKind::delivery_status;
    if (report_.kind != ReportKind::bounce && !status) return;
    if (report_.reporting_mta.empty()) report_.reporting_mta = std::move(words.reporting_mta);
    if (status && !report_.recipients.empty()) {
      return;  // fields say it better than words
    }
    report_.dialect = words.dialect.empty() ? "other" : std::move(words.dialect);
    report_.recipients = std::move(words.recipients.empty() ? words.mentioned : words.recipients);
    if (!report_.recipients.empty()) return;
    // Somebody failed, and only the one who gave out the return address knows who.
    RecipientReport& nameless = report_.recipients.emplace_back();
    nameless.action =
        words.action == ReportAction::delayed ? ReportAction::delayed : ReportAction::failed;
    const QuotedReply reply = quoted_reply(std::string_view(text_).substr(0, text_octets_max));
    nameless.status = reply.enhanced;
    const auto klass = static_cast<std::uint8_t>(reply.code != 0 ? reply.code / 100
                                                 : nameless.action == ReportAction::delayed ? 4
                                                                                            : 5);
    if (!nameless.status.present()) nameless.status = guessed_status(text_, klass);
    if (!nameless.status.present()) nameless.status = {klass, 0, 0};
    nameless.diagnostic = report_.first_line;
    nameless.permanent = is_permanent(nameless);
  }

  Report report_;
  std::vector<Field> header_;
  std::string report_type_;
  std::string text_;
  std::string html_;
  std::string original_id_;
  std::size_t texts_ = 0;
  bool have_header_ = false;
  bool has_status_ = false;
  bool has_feedback_ = false;
  bool has_receipt_ = false;

 public:
  MimeWalker walker{*this};
};

ReportReader::ReportReader() : collector_(std::make_unique<Collector>()) {}

ReportReader::~ReportReader() = default;

void ReportReader::feed(std::string_view octets) { collector_->walker.feed(octets); }

Report ReportReader::finish() {
  collector_->walker.finish();
  return collector_->finish(collector_->walker.truncated());
}

Report read_report(std::string_view message) {
  ReportReader reader;
  reader.feed(message);
  return reader.finish();
}

}  // namespace mansio::dsn
