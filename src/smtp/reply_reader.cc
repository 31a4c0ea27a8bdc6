#include "smtp/reply_reader.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/text.h"

namespace mansio::smtp {
namespace {

constexpr std::size_t shown_of_bad_line = 120;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The code at the start of a line, or 0. RFC 5321 §4.2 says [2-5][0-5][0-9]; servers use others
/// such as 571, and §4.3.2 tells the client to go by the first digit then.
std::uint16_t code_of(std::string_view line) {
  if (line.size() < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2])) return 0;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  return code >= 200 && code <= 599 ? static_cast<std::uint16_t>(code) : std::uint16_t{0};
}

}  // namespace

std::size_t ReplyReader::feed(std::string_view octets) {
  std::size_t used = 0;
  while (used < octets.size() && !complete_ && !failed()) {
    const std::string_view rest = octets.substr(used);
    const std::size_t newline = rest.find('\n');
    const std::size_t take = newline == std::string_view::npos ? rest.size() : newline + 1;
    // Never hold more than the limit of a line, however much has come.
    const std::size_t room = limits_.line - line_.size();
    line_.append(rest.substr(0, std::min(take, room)));
    used += std::min(take, room);
    octets_ += std::min(take, room);
    if (octets_ > limits_.reply) {
      fail("the reply is too long");
    } else if (take <= room && newline != std::string_view::npos) {
      end_line();
    } else if (line_.size() >= limits_.line) {
      fail("a line of the reply is too long");
    }
  }
  return used;
}

void ReplyReader::end_line() {
  line_.pop_back();
  if (line_.ends_with('\r')) line_.pop_back();
  if (line_.find('\0') != std::string::npos) return fail("a NUL in the reply");
  const std::uint16_t code = code_of(line_);
  if (code == 0 || (line_.size() > 3 && line_[3] != ' ' && line_[3] != '-')) {
    return fail("not a reply");
  }
  if (lines_ != 0 && code != reply_.code) return fail("the code changes within the reply");
  if (++lines_ > limits_.lines) return fail("the reply has too many lines");
  reply_.code = code;

  const bool last = line_.size() == 3 || line_[3] == ' ';
  std::string_view text = std::string_view(line_).substr(std::min<std::size_t>(line_.size(), 4));
  const std::string_view first_word = text.substr(0, text.find(' '));
  const auto enhanced = EnhancedCode::parse(first_word);
  if (enhanced && enhanced->klass == code / 100 &&
      (lines_ == 1 || (reply_.enhanced.present() && *enhanced == reply_.enhanced))) {
    reply_.enhanced = *enhanced;
    text.remove_prefix(std::min(text.size(), first_word.size() + 1));
  }
  if (lines_ > 1 && reply_.text.size() < limits_.text) reply_.text += '\n';
  reply_.text += text.substr(0, limits_.text - std::min(limits_.text, reply_.text.size()));
  line_.clear();
  complete_ = last;
}

void ReplyReader::fail(std::string_view what) {
  error_ = std::string(what) + ": \"" +
           escape(std::string_view(line_).substr(0, shown_of_bad_line)) + "\"";
  line_.clear();
}

Reply ReplyReader::take() {
  MANSIO_ASSERT(complete_);
  complete_ = false;
  octets_ = 0;
  lines_ = 0;
  return std::exchange(reply_, Reply{});
}

}  // namespace mansio::smtp
