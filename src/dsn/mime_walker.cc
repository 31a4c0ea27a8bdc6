#include "dsn/mime_walker.h"

#include <algorithm>

#include "base/text.h"
#include "message/transfer_encoding.h"

namespace mansio::dsn {
namespace {

/// A longer line is handed on in pieces; boundaries and useful header lines are shorter.
constexpr std::size_t line_octets_max = 16 * 1024;
constexpr std::size_t preamble_octets_max = 64 * 1024;

std::string decoded(std::string body, const std::vector<Field>& fields) {
  const std::string_view encoding = trim(field_value(fields, "Content-Transfer-Encoding"));
  if (equals_ignoring_case(encoding, "base64")) return from_base64(body);
  if (equals_ignoring_case(encoding, "quoted-printable")) return from_quoted_printable(body);
  return body;
}

bool looks_like_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  return colon != std::string_view::npos && !trim(name).empty() &&
         trim(name).find_first_of(" \t") == std::string_view::npos;
}

}  // namespace

MimeWalker::MimeWalker(PartVisitor& visitor, WalkLimits limits)
    : visitor_(visitor), limits_(limits) {}

void MimeWalker::feed(std::string_view octets) {
  while (!octets.empty()) {
    const std::size_t newline = octets.find('\n');
    const bool ends = newline != std::string_view::npos;
    const std::string_view piece = octets.substr(0, newline);
    octets.remove_prefix(ends ? newline + 1 : octets.size());
    if (ends && line_.empty()) {
      fragment(piece, !line_broken_, true);
      line_broken_ = false;
      continue;
    }
    line_ += piece;
    if (!ends && line_.size() < line_octets_max) continue;
    fragment(line_, !line_broken_, ends);
    line_broken_ = !ends;
    line_.clear();
  }
}

void MimeWalker::finish() {
  if (!line_.empty()) fragment(line_, !line_broken_, true);
  line_.clear();
  end_part();
  if (parts_ == 0 && !preamble_.empty()) {
    // No boundary fitted: what there is counts as one text.
    Part text;
    text.depth = 1;
    if (visitor_.part_begins(text) > 0) visitor_.part_ends(text, std::move(preamble_));
  }
}

void MimeWalker::fragment(std::string_view octets, bool begins_line, bool ends_line) {
  if (ends_line && octets.ends_with('\r')) octets.remove_suffix(1);
  if (begins_line && octets.starts_with("--") && boundary_line(octets)) return;
  switch (state_) {
    case State::header:
      header_line(octets, begins_line, ends_line);
      break;
    case State::body:
      keep(octets, ends_line);
      break;
    case State::between:
      if (parts_ == 0 && preamble_.size() < preamble_octets_max) {
        preamble_ += octets.substr(0, preamble_octets_max - preamble_.size());
        if (ends_line) preamble_ += "\r\n";
      }
      break;
  }
}

/// True if the line is a boundary of a multipart that we are in: the innermost that fits counts, so
/// that a multipart without an end is ended by the next boundary around it (RFC 2046 §5.1.2).
bool MimeWalker::boundary_line(std::string_view line) {
  line = line.substr(0, line.find_last_not_of(" \t") + 1);
  for (std::size_t i = boundaries_.size(); i-- > 0;) {
    const std::string& boundary = boundaries_[i];
    if (!line.starts_with(boundary)) continue;
    const std::string_view rest = line.substr(boundary.size());
    if (!rest.empty() && rest != "--") continue;
    end_part();
    boundaries_.resize(rest.empty() ? i + 1 : i);
    state_ = State::between;
    if (rest.empty()) begin_part();
    return true;
  }
  return false;
}

void MimeWalker::begin_part() {
  ++parts_;
  if (parts_ > limits_.parts) {
    truncated_ = true;
    return;
  }
  header_.clear();
  state_ = State::header;
}

void MimeWalker::header_line(std::string_view line, bool begins_line, bool ends_line) {
  const bool blank = begins_line && trim(line).empty();
  const bool folded = !line.empty() && (line.front() == ' ' || line.front() == '\t');
  if (blank) {
    begin_body();
    return;
  }
  if (begins_line && !folded && !looks_like_field(line)) {
    // Somebody forgot the empty line: this is the body already.
    const bool envelope_line = header_.empty() && line.starts_with("From ");
    if (envelope_line) return;
    begin_body();
    fragment(line, begins_line, ends_line);
    return;
  }
  const std::size_t limit = boundaries_.empty() ? limits_.message_header : limits_.part_header;
  if (header_.size() + line.size() + 2 > limit) {
    truncated_ = true;
    return;
  }
  header_ += line;
  if (ends_line) header_ += "\r\n";
}

void MimeWalker::begin_body() {
  std::string_view block = header_;
  part_ = {};
  part_.fields = take_fields(block);
  part_.content_type = field_value(part_.fields, "Content-Type");
  if (!part_.content_type.empty()) part_.type = media_type(part_.content_type);
  part_.depth = boundaries_.size();
  header_.clear();
  body_.clear();
  wanted_ = std::min(visitor_.part_begins(part_), limits_.body);
  state_ = State::body;
  if (!part_.type.starts_with("multipart/")) return;
  const std::string boundary = parameter(part_.content_type, "boundary");
  if (boundary.empty()) return;  // nothing to walk by: octets like any other
  if (boundary.size() > limits_.boundary || boundaries_.size() >= limits_.depth) {
    truncated_ = true;
    return;
  }
  boundaries_.push_back("--" + boundary.substr(0, boundary.find_last_not_of(" \t") + 1));
  state_ = State::between;
}

void MimeWalker::keep(std::string_view octets, bool ends_line) {
  if (body_.size() >= wanted_) {
    truncated_ = truncated_ || wanted_ > 0;
    return;
  }
  body_ += octets.substr(0, wanted_ - body_.size());
  if (ends_line) body_ += "\r\n";
}

/// Hands out what was kept of the part that ends here, if there is one.
void MimeWalker::end_part() {
  if (state_ == State::header) begin_body();
  if (state_ == State::body && wanted_ > 0) {
    visitor_.part_ends(part_, decoded(std::move(body_), part_.fields));
  }
  body_.clear();
  state_ = State::between;
}

}  // namespace mansio::dsn
