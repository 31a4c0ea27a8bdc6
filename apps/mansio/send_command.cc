#include "mansio/send_command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/id.h"
#include "base/text.h"
#include "mansio/sendmail.h"
#include "mansio/smtp_submit.h"
#include "message/address.h"
#include "message/submission.h"
#include "settings/load.h"

namespace mansio::cli {
namespace {

struct SendOptions {
  std::string server = "127.0.0.1:2525";
  std::string config;
  std::string from;
  std::vector<std::string> to;
  std::string file;
};

/// Wrong usage: exit 2 with this text.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string read_all(const std::string& path) {
  if (path.empty() || path == "-") {
    return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof()) throw UsageError(path + " cannot be read");
  if (!file.is_open()) throw UsageError(path + " cannot be read");
  return text;
}

Endpoint server_of(const SendOptions& options) {
  if (!options.config.empty()) {
    const settings::Settings settings = settings::load(options.config);
    for (const settings::Listener& listener : settings.listeners) {
      if (listener.protocol == "smtp" && listener.tls != "implicit") return listener.address;
    }
    throw UsageError(options.config + " has no SMTP listener without implicit TLS");
  }
  auto endpoint = Endpoint::parse(options.server);
  if (!endpoint) throw UsageError("--server: expected HOST:PORT, found " + escape(options.server));
  return *endpoint;
}

Address address_of(const std::string& text, const char* option) {
  auto address = Address::parse(text, true);
  if (!address) {
    throw UsageError(std::string(option) + ": not an address: " + escape(text));
  }
  return *address;
}

Envelope envelope_of(const SendOptions& options, const std::string& content) {
  Envelope envelope;
  if (options.from != "<>" && !options.from.empty()) {
    envelope.reverse_path = address_of(options.from, "--from");
  }
  for (const std::string& to : options.to) {
    Recipient& recipient = envelope.recipients.emplace_back();
    recipient.address = recipient.original = address_of(to, "--to");
    envelope.smtputf8 = envelope.smtputf8 || recipient.address.needs_utf8();
  }
  envelope.smtputf8 = envelope.smtputf8 || envelope.reverse_path.needs_utf8();
  const bool eight_bit = std::any_of(content.begin(), content.end(),
                                     [](char c) { return static_cast<unsigned char>(c) > 127; });
  if (eight_bit) envelope.body = BodyType::eight_bit_mime;
  return envelope;
}

/// The queue id in "250 2.0.0 Ok: queued as ID"; empty: another server's words.
std::string id_in(const std::string& reply) {
  for (const std::string_view word : split(reply, ' ')) {
    if (const auto id = QueueId::parse(word)) return id->to_string();
  }
  return {};
}

int report(const Sent& sent, const Envelope& envelope, bool json) {
  const auto name = [&](const Sent::Refused& each) {
    return envelope.recipients[each.recipient].address.to_string();
  };
  const std::string id = sent.accepted ? id_in(sent.reply) : std::string();
  if (json) {
    nlohmann::ordered_json object{{"id", nullptr},
                                  {"accepted", sent.accepted},
                                  {"reply", sent.reply},
                                  {"refused", nlohmann::ordered_json::array()}};
    if (!id.empty()) object["id"] = id;
    for (const Sent::Refused& each : sent.refused) {
      object["refused"].push_back({{"recipient", name(each)}, {"reply", each.reply}});
    }
    std::printf("%s\n",
                object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    if (sent.accepted) std::printf("%s\n", id.empty() ? sent.reply.c_str() : id.c_str());
    for (const Sent::Refused& each : sent.refused) {
      std::fprintf(stderr, "mansio: %s: %s\n", escape(name(each)).c_str(),
                   escape(each.reply).c_str());
    }
    if (!sent.accepted && sent.refused.empty()) {
      std::fprintf(stderr, "mansio: %s\n", escape(sent.reply).c_str());
    }
  }
  if (!sent.connected) return unreachable;
  return sent.accepted && sent.refused.empty() ? done : refused;
}

int run(const SendOptions& options, bool json) {
  const Endpoint server = server_of(options);
  const std::string content = to_network_lines(read_all(options.file));
  const Envelope envelope = envelope_of(options, content);
  return report(submit_message(server, envelope, content), envelope, json);
}

}  // namespace

void add_send_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb =
      app.add_subcommand("send", "Hand a message to a server over SMTP; prints its id");
  const auto wanted = std::make_shared<SendOptions>();
  auto* server = verb->add_option("--server", wanted->server, "SMTP server")
                     ->type_name("HOST:PORT")
                     ->capture_default_str();
  verb->add_option("--config", wanted->config, "Take the first SMTP listener of this configuration")
      ->type_name("FILE")
      ->excludes(server);
  verb->add_option("--from", wanted->from, "Envelope sender; \"<>\" for none")
      ->required()
      ->type_name("ADDRESS");
  verb->add_option("--to", wanted->to, "Recipient (repeatable)")
      ->required()
      ->allow_extra_args(false)
      ->type_name("ADDRESS");
  verb->add_option("file", wanted->file, "The message; standard input without it")
      ->type_name("FILE");
  verb->footer("Example: mansio send --from me@example.org --to you@example.com message.eml");
  verb->callback([&options, &action, wanted] {
    action = [&options, wanted] {
      try {
        return run(*wanted, options.json);
      } catch (const UsageError& error) {
        std::fprintf(stderr, "mansio: %s\n", error.what());
      } catch (const settings::ConfigError& error) {
        std::fprintf(stderr, "mansio: %s\n", error.what());
      }
      return static_cast<int>(usage);
    };
  });
}

void add_sendmail_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "sendmail", "Hand over mail as programs do: sendmail -t, -i, -f, -F, -bs, -bp, -q, ...");
  verb->prefix_command()->fallthrough(false);
  verb->footer(
      "The same as calling this program by the name sendmail, mailq or newaliases. Exit status of\n"
      "sysexits.h; 0 only when the message is on disk. See docs/manual/sendmail.md.\n"
      "Example: mansio sendmail -t < message.eml");
  verb->callback([verb, &options, &action] {
    action = [verb, &options] {
      if (!options.admin.empty()) ::setenv("MANSIO_ADMIN", options.admin.c_str(), 1);
      return run_sendmail("sendmail", verb->remaining());
    };
  });
}

bool asks_for_sendmail(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  if (words.front() == "sendmail") {
    return words.size() == 1 || (words[1] != "--help" && words[1] != "-h");
  }
  return words.front() == "send" &&
         std::none_of(words.begin() + 1, words.end(), [](const auto& word) {
           return word == "-h" || (word.starts_with("--") && word != "--");
         });
}

}  // namespace mansio::cli
