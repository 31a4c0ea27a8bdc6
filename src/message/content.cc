#include "message/content.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/checksum.h"
#include "base/text.h"

namespace mansio {
namespace {

constexpr std::size_t subject_octets_max = 200;
/// Of each header line this much is looked at: a field name and a subject fit.
constexpr std::size_t line_start_octets_max = 256;

bool has_8bit(std::string_view octets) {
  std::uint64_t seen = 0;
  const char* at = octets.data();
  std::size_t left = octets.size();
  for (; left >= sizeof(seen); at += sizeof(seen), left -= sizeof(seen)) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    seen |= word;
  }
  for (; left > 0; ++at, --left) seen |= static_cast<std::uint8_t>(*at);
  return (seen & 0x8080808080808080U) != 0;
}

/// Is this the line of the named field? White space before the colon is obsolete, but seen
/// (RFC 5322 §4.5).
bool is_field(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || !equals_ignoring_case(line.substr(0, name.size()), name)) {
    return false;
  }
  const std::size_t colon = line.find_first_not_of(" \t", name.size());
  return colon != std::string_view::npos && line[colon] == ':';
}

/// Takes what is there up to and with the next LF: the whole of a line, or the piece that is here.
std::string_view take_piece(std::string_view& octets) {
  const std::size_t newline = octets.find('\n');
  const std::string_view piece =
      octets.substr(0, newline == std::string_view::npos ? octets.size() : newline + 1);
  octets.remove_prefix(piece.size());
  return piece;
}

std::uint32_t saturated(std::uint64_t value) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(value, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

void ContentScanner::feed(std::string_view octets) {
  facts_.checksum = crc32c(octets, facts_.checksum);
  while (in_header_ && !octets.empty()) {
    const std::string_view piece = take_piece(octets);
    facts_.size += piece.size();
    facts_.has_8bit_header = facts_.has_8bit_header || has_8bit(piece);
    if (line_start_.size() < line_start_octets_max) {
      line_start_.append(piece.substr(0, line_start_octets_max - line_start_.size()));
    }
    count(piece);
  }
  facts_.size += octets.size();
  facts_.has_8bit_body = facts_.has_8bit_body || has_8bit(octets);
  while (!octets.empty()) count(take_piece(octets));  // only for the longest line
}

/// Looks for the end of the line that the piece goes on with.
void ContentScanner::count(std::string_view piece) {
  line_length_ = saturated(std::uint64_t{line_length_} + piece.size());
  // Only CRLF ends a line; a bare CR or LF is an octet like any other.
  const bool cr_before_end = piece.size() > 1 ? piece[piece.size() - 2] == '\r' : last_was_cr_;
  last_was_cr_ = piece.back() == '\r';
  if (piece.back() == '\n' && cr_before_end) {
    line_length_ -= 2;
    end_line();
  }
}

ContentFacts ContentScanner::finish() {
  if (line_length_ > 0) end_line();
  if (in_header_) facts_.header_size = saturated(facts_.size);
  const std::string_view subject = trim(subject_line_);
  facts_.subject = std::string(subject.substr(0, subject_octets_max));
  return facts_;
}

void ContentScanner::end_line() {
  facts_.longest_line = std::max(facts_.longest_line, line_length_);
  const std::uint32_t length = std::exchange(line_length_, 0);
  if (!in_header_) return;

  line_start_.resize(std::min<std::size_t>(line_start_.size(), length));
  if (length == 0) {
    in_header_ = false;
    facts_.header_size = saturated(facts_.size);
    line_start_.clear();
    return;
  }
  ++header_lines_;
  const bool continues = line_start_.front() == ' ' || line_start_.front() == '\t';
  if (!continues) {
    subject_done_ = subject_done_ || field_is_subject_;
    field_is_subject_ = !subject_done_ && is_field(line_start_, "subject");
    if (is_field(line_start_, "received")) ++received_fields_;
    if (field_is_subject_) subject_line_ = line_start_.substr(line_start_.find(':') + 1);
  } else if (field_is_subject_ && subject_line_.size() < line_start_octets_max) {
    // Unfolding takes the CRLF away and keeps the white space (RFC 5322 §2.2.3).
    subject_line_ += line_start_;
  }
  line_start_.clear();
}

}  // namespace mansio
