#include "mansio/sendmail_options.h"

#include "base/text.h"
#include "message/xtext.h"

namespace mansio::cli {
namespace {

using Mode = SendmailOptions::Mode;

[[noreturn]] void refuse(const std::string& what) { throw SendmailFailure(ex_usage, what); }

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& words) : words_(words) {}

  SendmailOptions parse(Mode mode) {
    options_.mode = mode;
    bool all_options = true;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (all_options && word == "--") {
        all_options = false;
      } else if (all_options && word.size() > 1 && word.front() == '-') {
        read(word);
      } else {
        options_.recipients.push_back(word);
      }
    }
    return std::move(options_);
  }

 private:
  /// One word of options: "-ti", "-f", "-fann@example.org", "-oi", "-bs", "-q30m".
  void read(const std::string& word) {
    if (word.starts_with("--")) refuse("unknown option " + escape(word));
    for (std::size_t at = 1; at < word.size(); ++at) {
      const char letter = word[at];
      const std::string rest = word.substr(at + 1);
      if (flag(letter)) continue;
      switch (letter) {
        case 'b':
          return set_mode(rest);
        case 'o':
          return set_old_option(rest);
        case 'q':
          return set_flush(rest);
        case 'd':
          return;  // debugging levels of a program that is not here
        default:
          return set_value(letter, rest);
      }
    }
  }

  /// Options without a value; several may share a word.
  bool flag(char letter) {
    switch (letter) {
      case 't':
        options_.recipients_from_header = true;
        return true;
      case 'i':
        options_.dot_ends = false;
        return true;
      case 'v':
        options_.verbose = true;
        return true;
      case 'I':
        options_.mode = Mode::aliases;
        return true;
      case 'G':  // relayed, not submitted
      case 'U':  // submitted by a user
      case 'm':  // to me too
      case 'n':  // no aliases
      case 's':
        return true;
      default:
        return false;
    }
  }

  void set_mode(const std::string& rest) {
    if (rest.size() != 1) refuse("-b needs one letter, found " + escape(rest));
    switch (rest.front()) {
      case 'm':
      case 'a':
        return;
      case 's':
        options_.mode = Mode::smtp;
        return;
      case 'p':
        options_.mode = Mode::list;
        return;
      case 'i':
        options_.mode = Mode::aliases;
        return;
      case 'd':
      case 'D':
      case 'l':
        refuse("-b" + rest + ": the daemon is mansiod, which its service starts");
      case 'v':
      case 't':
        refuse("-b" + rest + " is not available: `mansio probe` shows the way of an address");
      default:
        refuse("unknown mode -b" + escape(rest));
    }
  }

  /// -oi and the like. Of what they set, only the end of the input means anything here.
  void set_old_option(const std::string& rest) {
    if (rest.empty()) refuse("-o needs an option behind it");
    if (rest == "i") options_.dot_ends = false;
    if (rest.front() == 'A' || rest.front() == 'Q') {
      refuse("-o" + rest + " is not available: there are no aliases and there is one queue");
    }
  }

  /// -q, -q30m (which starts nothing: retries have their own times), -qIid, -qRsite, -qSsender.
  void set_flush(const std::string& rest) {
    options_.mode = Mode::flush;
    if (rest.empty()) return;
    const char by = rest.front();
    if (by == 'I' || by == 'R' || by == 'S') {
      options_.flush_by = by;
      options_.flush_value = rest.size() > 1 ? rest.substr(1) : value('q', "");
      return;
    }
    refuse("-q" + escape(rest) + " is not available: mansiod retries by [retry] of its settings");
  }

  std::string value(char letter, const std::string& rest) {
    if (!rest.empty()) return rest;
    if (next_ == words_.size()) refuse(std::string("-") + letter + " needs a value");
    return words_[next_++];
  }

  void set_value(char letter, const std::string& rest) {
    switch (letter) {
      case 'f':
      case 'r': {
        std::string sender = value(letter, rest);
        if (sender.starts_with('<') && sender.ends_with('>')) {
          sender = sender.substr(1, sender.size() - 2);
        }
        options_.sender = sender;
        return;
      }
      case 'F':
        options_.full_name = value(letter, rest);
        return;
      case 'C':
        options_.config = value(letter, rest);
        return;
      case 'B': {
        const std::string type = to_lower(value(letter, rest));
        if (type != "7bit" && type != "8bitmime") refuse("-B: expected 7BIT or 8BITMIME");
        return;  // the content itself says which it is
      }
      case 'N':
        return set_notify(to_lower(value(letter, rest)));
      case 'R':
        options_.dsn_return = to_lower(value(letter, rest));
        if (options_.dsn_return != "full" && options_.dsn_return != "hdrs") {
          refuse("-R: expected full or hdrs");
        }
        return;
      case 'V':
        options_.envelope_id = value(letter, rest);
        if (to_xtext(options_.envelope_id).size() > 100) refuse("-V: longer than 100 characters");
        return;
      case 'A':
      case 'h':
      case 'L':
      case 'O':
      case 'p':
      case 'X':
        value(letter, rest);  // settings of another program, hop counts, log files
        return;
      default:
        refuse(std::string("unknown option -") + escape(std::string(1, letter)));
    }
  }

  void set_notify(const std::string& text) {
    for (const std::string_view word : split(text, ',')) {
      const bool known = word == "success" || word == "failure" || word == "delay";
      if (!known && text != "never") {
        refuse("-N: expected never, or some of success, failure, delay");
      }
    }
    options_.notify = text;
  }

  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
  SendmailOptions options_;
};

}  // namespace

SendmailOptions parse_sendmail(const std::string& program, const std::vector<std::string>& words) {
  const Mode mode = program == "mailq"        ? Mode::list
                    : program == "newaliases" ? Mode::aliases
                                              : Mode::submit;
  return Parser(words).parse(mode);
}

}  // namespace mansio::cli
