// The command line of `sendmail`, as programs have called it for forty years: what they rely on is
// understood, what has no meaning here is accepted, and what would promise something else is
// refused. Pure.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace mansio::cli {

/// sysexits.h, as far as `sendmail` uses it.
enum SendmailExit : int {
  ex_ok = 0,
  ex_usage = 64,
  ex_dataerr = 65,      ///< the message is wrong
  ex_nouser = 67,       ///< a recipient was refused for good
  ex_unavailable = 69,  ///< refused for good, or no daemon where one is needed
  ex_software = 70,
  ex_tempfail = 75,  ///< not accepted; try again
  ex_config = 78,
};

/// Ends the command: the text goes to standard error.
class SendmailFailure : public std::runtime_error {
 public:
  SendmailFailure(SendmailExit status, const std::string& what)
      : std::runtime_error(what), status_(status) {}

  SendmailExit status() const { return status_; }

 private:
  SendmailExit status_;
};

struct SendmailOptions {
  enum class Mode {
    submit,   ///< a message on standard input
    smtp,     ///< -bs: SMTP on standard input and output
    list,     ///< -bp, mailq
    flush,    ///< -q: try everything now
    aliases,  ///< -bi, newaliases
  };

  Mode mode = Mode::submit;
  bool recipients_from_header = false;  ///< -t
  bool dot_ends = true;                 ///< false with -i
  bool verbose = false;
  std::optional<std::string> sender;  ///< -f; "" is the null sender
  std::string full_name;              ///< -F
  std::string config;                 ///< -C
  std::string notify;                 ///< -N, in lower case
  std::string dsn_return;             ///< -R: "full" or "hdrs"
  std::string envelope_id;            ///< -V
  char flush_by = 0;                  ///< -qI, -qR, -qS: the letter
  std::string flush_value;
  std::vector<std::string> recipients;
};

/// `program`: the name it was called by ("sendmail", "mailq", "newaliases"). Throws SendmailFailure
/// (ex_usage). A word that begins with "-" is an address only behind "--".
SendmailOptions parse_sendmail(const std::string& program, const std::vector<std::string>& words);

}  // namespace mansio::cli
