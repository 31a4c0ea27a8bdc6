#include "message/address_list.h"

#include "base/text.h"

namespace mansio {
namespace {

enum class Kind { end, word, mark };

struct Token {
  Kind kind = Kind::end;
  std::string_view text;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_mark(char c) { return c == '<' || c == '>' || c == ',' || c == ';' || c == ':'; }

class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  Token next() {
    skip_blanks_and_comments();
    if (at_ == text_.size()) return {};
    const std::size_t begin = at_;
    const char first = text_[at_];
    if (is_mark(first)) {
      ++at_;
      return {Kind::mark, text_.substr(begin, 1)};
    }
    if (first == '"' || first == '[') {
      skip_enclosed(first == '"' ? '"' : ']');
    } else {
      while (at_ < text_.size() && !ends_word(text_[at_])) ++at_;
    }
    return {Kind::word, text_.substr(begin, at_ - begin)};
  }

  std::size_t position() const { return at_; }

 private:
  static bool ends_word(char c) {
    return is_blank(c) || is_mark(c) || c == '(' || c == '"' || c == '[';
  }

  void skip_enclosed(char end) {
    for (++at_; at_ < text_.size() && text_[at_] != end; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
  }

  void skip_blanks_and_comments() {
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') {
        ++depth;
      } else if (depth > 0 && c == ')') {
        --depth;
      } else if (depth > 0 && c == '\\') {
        ++at_;
      } else if (depth == 0 && !is_blank(c)) {
        break;
      }
    }
    at_ = std::min(at_, text_.size());
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// The words of an addr-spec; blanks may stand around its dots and its @ only (RFC 5322 §4.4).
class Words {
 public:
  void add(std::string_view word) {
    if (!joined_.empty()) {
      const char before = joined_.back();
      const char after = word.front();
      const bool joins = before == '.' || before == '@' || after == '.' || after == '@';
      if (!joins) apart_ = true;
    }
    joined_ += word;
  }

  bool empty() const { return joined_.empty(); }

  bool is_address() const { return !apart_ && !joined_.empty(); }

  const std::string& joined() const { return joined_; }

 private:
  std::string joined_;
  bool apart_ = false;
};

/// What stands between < and >, the opening one read already. False: it does not end.
bool read_angle(Tokens& tokens, Words& words) {
  for (Token token = tokens.next(); token.kind != Kind::end; token = tokens.next()) {
    if (token.kind == Kind::word) {
      words.add(token.text);
    } else if (token.text == ">") {
      return true;
    } else if (token.text == ":") {
      words = {};  // the source route that ends here is dropped (RFC 5321 App. C)
    } else if (token.text != ",") {
      return false;
    }
  }
  return false;
}

}  // namespace

AddressList parse_address_list(std::string_view text) {
  AddressList list;
  Tokens tokens(text);
  Words words;
  Words angle;
  bool has_angle = false;
  bool broken = false;
  std::size_t begin = 0;
  while (true) {
    const Token token = tokens.next();
    if (token.kind == Kind::word) {
      // A display name stands before the address, never behind it.
      broken = broken || has_angle;
      words.add(token.text);
      continue;
    }
    if (token.kind == Kind::mark && token.text == "<") {
      broken = broken || has_angle || !read_angle(tokens, angle);
      has_angle = true;
      continue;
    }
    if (token.kind == Kind::mark && token.text == ":" && !has_angle) {
      words = {};  // the name of a group
      begin = tokens.position();
      continue;
    }
    if (token.kind == Kind::mark && (token.text == ">" || token.text == ":")) {
      broken = true;
      continue;
    }
    const Words& found = has_angle ? angle : words;
    if (has_angle || !words.empty() || broken) {
      if (!broken && found.is_address()) {
        list.addresses.push_back(found.joined());
      } else if (list.not_understood.empty()) {
        const std::size_t end = tokens.position() - (token.kind == Kind::mark ? 1 : 0);
        list.not_understood = std::string(trim(text.substr(begin, end - begin)));
      }
    }
    if (token.kind == Kind::end) return list;
    words = angle = {};
    has_angle = broken = false;
    begin = tokens.position();
  }
}

}  // namespace mansio
