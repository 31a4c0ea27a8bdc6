#include "mansio/sendmail.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <system_error>

#include "base/clock.h"
#include "base/id.h"
#include "base/random.h"
#include "base/text.h"
#include "mansio/admin_client.h"
#include "mansio/maildrop_writer.h"
#include "mansio/sendmail_message.h"
#include "mansio/sendmail_options.h"
#include "mansio/sendmail_queue.h"
#include "mansio/smtp_submit.h"
#include "message/dropped_message.h"
#include "net/net.h"
#include "settings/load.h"

namespace mansio::cli {
namespace {

constexpr const char* usual_config = "/etc/mansio/mansio.toml";
constexpr const char* usual_socket = "/run/mansio/submit.sock";
constexpr const char* usual_maildrop = "/var/spool/mansio/maildrop";
constexpr std::uint64_t usual_message_max = 50ull << 20;

/// Where mail goes from here.
struct Way {
  std::vector<Endpoint> servers;  ///< tried in this order
  std::string maildrop;           ///< empty: none
  std::string admin;              ///< empty: where `mansio` looks
  std::string hostname;           ///< as the settings say; empty: they do not
  std::uint64_t message_max = usual_message_max;
};

/// Whether a listener takes mail for any domain from this machine. One that does not would refuse
/// for good what belongs into the maildrop.
bool serves_us(const settings::Listener& listener) {
  if (listener.address.is_unix()) return true;
  std::string own = listener.address.address;
  if (own == "0.0.0.0") own = "127.0.0.1";
  if (own == "::") own = "::1";
  return std::any_of(listener.relay_from.begin(), listener.relay_from.end(),
                     [&](const std::string& network) { return net::in_network(own, network); });
}

Way way_of(const settings::Settings& settings) {
  Way way;
  way.maildrop = settings.maildrop.path;
  way.hostname = settings.server.hostname;
  way.message_max = settings.limits.message;
  way.admin = !settings.admin.socket.empty()  ? settings.admin.socket
              : settings.admin.listen.empty() ? ""
                                              : "http://" + settings.admin.listen;
  for (const bool local : {true, false}) {
    for (const settings::Listener& listener : settings.listeners) {
      if (listener.protocol != "smtp" || listener.tls == "implicit") continue;
      if (!serves_us(listener)) continue;
      if (listener.address.is_unix() == local) way.servers.push_back(listener.address);
    }
  }
  return way;
}

/// The settings where they can be read, else the places of a packaged server.
Way find_way(const SendmailOptions& options) {
  if (!options.config.empty()) {
    try {
      return way_of(settings::load_for_clients(options.config));
    } catch (const settings::ConfigError& error) {
      throw SendmailFailure(ex_config, error.what());
    }
  }
  std::error_code ignored;
  if (std::filesystem::exists(usual_config, ignored)) {
    try {
      return way_of(settings::load_for_clients(usual_config));
    } catch (const settings::ConfigError&) {
      // Not for our eyes, or wrong, which is for the daemon to say: mail can still be left.
    }
  }
  Way way;
  way.servers.push_back({usual_socket, 0});
  way.maildrop = usual_maildrop;
  return way;
}

std::string first_line_of(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return std::string(trim(line));
}

Submitter find_submitter(const Way& way) {
  Submitter submitter;
  const passwd* entry = ::getpwuid(::getuid());
  submitter.user = entry != nullptr ? entry->pw_name : std::to_string(::getuid());
  if (entry != nullptr && entry->pw_gecos != nullptr) {
    const std::string gecos = entry->pw_gecos;
    submitter.full_name = gecos.substr(0, gecos.find(','));
  }
  submitter.domain = way.hostname == "localhost" ? "" : way.hostname;
  if (submitter.domain.empty()) submitter.domain = first_line_of("/etc/mailname");
  if (submitter.domain.empty()) submitter.domain = host_name();
  return submitter;
}

[[noreturn]] void refuse_size(std::uint64_t size_max) {
  throw SendmailFailure(ex_unavailable,
                        "the message is larger than " + std::to_string(size_max) + " octets");
}

/// Standard input, to its end or to a line with a dot alone.
std::string read_input(bool dot_ends, std::uint64_t size_max) {
  std::string text;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (dot_ends && (line == "." || line == ".\r")) break;
    text += line;
    if (!std::cin.eof()) text += '\n';
    if (text.size() > size_max) refuse_size(size_max);
  }
  if (std::cin.bad()) throw SendmailFailure(ex_tempfail, "standard input cannot be read");
  return text;
}

class Submission {
 public:
  Submission(const Way& way, const SendmailOptions& options, IdSource& ids, Clock& clock)
      : way_(way), options_(options), ids_(ids), clock_(clock) {}

  int run(Composed message) {
    // The maildrop takes so many in a file, and a server may take fewer in a transaction.
    std::vector<Recipient> rest = std::move(message.envelope.recipients);
    while (!rest.empty()) {
      const std::size_t count = std::min(rest.size(), drop_recipients_max);
      const auto end = rest.begin() + static_cast<std::ptrdiff_t>(count);
      message.envelope.recipients.assign(rest.begin(), end);
      rest.erase(rest.begin(), end);
      hand_over(message);
    }
    return status_;
  }

 private:
  void say(const std::string& text) const {
    std::fprintf(stderr, "sendmail: %s\n", escape(text).c_str());
  }

  void worsen(int status) {
    // What may succeed later matters most: whoever sees it will call again.
    if (status_ == ex_ok || status == ex_tempfail) status_ = status;
  }

  /// Takes out of the envelope what is settled: accepted, or refused for good.
  void hand_over(Composed& message) {
    for (const Endpoint& server : way_.servers) {
      bool goes_on = true;
      while (goes_on && !message.envelope.recipients.empty()) {
        goes_on = send_to(server, message);
      }
      if (message.envelope.recipients.empty()) return;
    }
    drop(message);
  }

  /// True: the server took some, and may take more.
  bool send_to(const Endpoint& server, Composed& message) {
    SubmitTimes times;
    times.greeting = std::chrono::seconds(20);
    Envelope& envelope = message.envelope;
    const Sent sent = submit_message(server, envelope, message.content, times);
    if (options_.verbose) std::printf("%s: %s\n", server.to_string().c_str(), sent.reply.c_str());
    last_words_ = sent.reply;
    const bool all_refused = sent.refused.size() == envelope.recipients.size();
    std::vector<bool> settled(envelope.recipients.size(), sent.accepted);
    for (const Sent::Refused& refused : sent.refused) {
      settled[refused.recipient] = refused.permanent;
      if (!refused.permanent) continue;
      say(envelope.recipients[refused.recipient].address.to_string() + ": " + refused.reply);
      worsen(ex_nouser);
    }
    if (sent.permanent && !all_refused) {
      say(sent.reply);
      worsen(ex_unavailable);
      settled.assign(settled.size(), true);
    }
    std::vector<Recipient> left;
    for (std::size_t i = 0; i < settled.size(); ++i) {
      if (!settled[i]) left.push_back(envelope.recipients[i]);
    }
    envelope.recipients = std::move(left);
    return sent.accepted;
  }

  void drop(const Composed& message) {
    std::string why = last_words_;
    if (!way_.maildrop.empty()) {
      try {
        const QueueId id = ids_.next(clock_.now());
        write_drop(way_.maildrop, id, message.envelope, message.content);
        if (options_.verbose) std::printf("%s: left for the daemon\n", id.to_string().c_str());
        return;
      } catch (const std::system_error& error) {
        why += std::string(why.empty() ? "" : "; ") + way_.maildrop + ": " + error.what();
      }
    }
    say("not accepted, try again later: " + why);
    worsen(ex_tempfail);
  }

  const Way& way_;
  const SendmailOptions& options_;
  IdSource& ids_;
  Clock& clock_;
  std::string last_words_ = "no server";
  int status_ = ex_ok;
};

int submit(const SendmailOptions& options) {
  const Way way = find_way(options);
  const auto clock = make_system_clock();
  const auto random = make_system_random();
  IdSource ids(*random);
  const std::string input = read_input(options.dot_ends, way.message_max);
  Composed message = compose(options, find_submitter(way), input,
                             ids.next(clock->now()).to_string(), clock->now());
  // Its line ends have grown. In the maildrop it would stay, although we said that it goes.
  if (message.content.size() > way.message_max) refuse_size(way.message_max);
  return Submission(way, options, ids, *clock).run(std::move(message));
}

/// -bs: what the caller says goes to the daemon, and what it answers comes back.
int speak_smtp(const SendmailOptions& options) {
  const Way way = find_way(options);
  for (const Endpoint& server : way.servers) {
    if (net::relay_descriptors(STDIN_FILENO, STDOUT_FILENO, server)) return ex_ok;
  }
  std::printf("421 4.3.2 %s Service not available, try again later\r\n", host_name().c_str());
  return ex_tempfail;
}

GlobalOptions admin_of(const SendmailOptions& options) {
  GlobalOptions global;
  const char* from_environment = std::getenv("MANSIO_ADMIN");
  if (from_environment != nullptr) {
    global.admin = from_environment;
  } else if (!options.config.empty()) {
    global.admin = find_way(options).admin;
  }
  return global;
}

int run(const SendmailOptions& options) {
  switch (options.mode) {
    case SendmailOptions::Mode::submit:
      return submit(options);
    case SendmailOptions::Mode::smtp:
      return speak_smtp(options);
    case SendmailOptions::Mode::list:
      return show_queue(admin_of(options));
    case SendmailOptions::Mode::flush:
      return flush_queue(admin_of(options), options);
    case SendmailOptions::Mode::aliases:
      break;  // there is no file of aliases to make; packages call it after every upgrade
  }
  return ex_ok;
}

int failed(int status, const std::string& what) {
  std::fprintf(stderr, "sendmail: %s\n", escape(what).c_str());
  return status;
}

}  // namespace

std::string sendmail_name(const std::string& program_path) {
  const std::string name = program_path.substr(program_path.rfind('/') + 1);
  return name == "sendmail" || name == "mailq" || name == "newaliases" ? name : "";
}

int run_sendmail(const std::string& program, const std::vector<std::string>& words) {
  try {
    return run(parse_sendmail(program, words));
  } catch (const SendmailFailure& failure) {
    return failed(failure.status(), failure.what());
  } catch (const Failure& failure) {
    return failed(failure.exit() == usage ? ex_usage : ex_unavailable, failure.what());
  } catch (const std::exception& error) {
    return failed(ex_tempfail, error.what());
  }
}

}  // namespace mansio::cli
