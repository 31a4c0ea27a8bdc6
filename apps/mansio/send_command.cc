#include "mansio/send_command.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "message/address.h"
#include "net/net.h"
#include "settings/load.h"
#include "smtp/client.h"

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

/// What a server said to one message.
struct Sent {
  bool connected = false;
  std::string reply;  ///< the last one that decided
  bool accepted = false;
  std::vector<std::pair<std::string, std::string>> refused;  ///< recipient and reply
};

/// The whole content in one piece.
class WholeContent final : public smtp::BodySource {
 public:
  explicit WholeContent(const std::string& content) : rest_(content) {}

  Task<Result<std::string_view>> next() override {
    const std::string_view piece = rest_;
    rest_ = {};
    co_return piece;
  }

 private:
  std::string_view rest_;
};

/// The octets with every line ended by CR LF, as SMTP carries them (RFC 5321 §2.3.8).
std::string with_network_lines(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32 + 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
    out += text[i];
  }
  if (!out.empty() && !out.ends_with("\r\n")) out += "\r\n";
  return out;
}

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

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string last_words(const smtp::Answer& answer) {
  return answer.replied() ? answer.reply.to_string() : answer.reply.text;
}

/// The dialogue, in its order.
Task<void> send(Endpoint server, const Envelope& envelope, const std::string& content, Clock& clock,
                Sent& sent) {
  const auto connector = net::make_connector(clock);
  auto connecting =
      connector->connect(std::move(server), {}, clock.steady_now() + std::chrono::seconds(30));
  auto connected = co_await std::move(connecting);
  if (!connected) {
    sent.reply = connected.error().message();
    co_return;
  }
  smtp::ClientOptions client_options;
  client_options.ehlo = host_name();
  smtp::ClientSession session(std::move(*connected), std::move(client_options), clock);
  auto answer = co_await session.greet();
  sent.connected = answer.replied();
  if (answer.positive()) answer = co_await session.hello();
  if (!answer.positive()) {
    sent.reply = last_words(answer);
    co_return;
  }

  smtp::Transaction transaction;
  transaction.envelope = &envelope;
  for (std::uint32_t i = 0; i < envelope.recipients.size(); ++i) {
    transaction.recipients.push_back(i);
  }
  transaction.facts.size = content.size();
  transaction.facts.eight_bit = envelope.body == BodyType::eight_bit_mime;
  transaction.facts.smtputf8 = envelope.smtputf8;
  co_await session.envelope(transaction);
  for (std::size_t i = 0; i < transaction.recipient.size(); ++i) {
    if (!transaction.mail.positive() || transaction.recipient[i].positive()) continue;
    sent.refused.emplace_back(envelope.recipients[i].address.to_string(),
                              last_words(transaction.recipient[i]));
  }
  const smtp::Answer* decided = &transaction.mail;
  if (transaction.mail.positive()) decided = &transaction.data;
  if (transaction.data_accepted() && transaction.accepted() > 0) {
    WholeContent body(content);
    const std::function<void()> before_dot = [] {};
    co_await session.content(transaction, body, before_dot);
    co_await session.final_answers(transaction);
    decided = transaction.final_answers.empty() ? &transaction.content
                                                : &transaction.final_answers.front();
    sent.accepted = decided->positive();
  } else if (!sent.refused.empty() && sent.refused.size() == envelope.recipients.size()) {
    sent.reply = sent.refused.front().second;
  }
  if (sent.reply.empty()) sent.reply = last_words(*decided);
  co_await session.quit();
}

/// The queue id in "250 2.0.0 Ok: queued as ID"; empty: another server's words.
std::string id_in(const std::string& reply) {
  for (const std::string_view word : split(reply, ' ')) {
    if (const auto id = QueueId::parse(word)) return id->to_string();
  }
  return {};
}

int report(const Sent& sent, bool json) {
  const std::string id = sent.accepted ? id_in(sent.reply) : std::string();
  if (json) {
    nlohmann::ordered_json object{{"id", nullptr},
                                  {"accepted", sent.accepted},
                                  {"reply", sent.reply},
                                  {"refused", nlohmann::ordered_json::array()}};
    if (!id.empty()) object["id"] = id;
    for (const auto& [recipient, reply] : sent.refused) {
      object["refused"].push_back({{"recipient", recipient}, {"reply", reply}});
    }
    std::printf("%s\n",
                object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    if (sent.accepted) std::printf("%s\n", id.empty() ? sent.reply.c_str() : id.c_str());
    for (const auto& [recipient, reply] : sent.refused) {
      std::fprintf(stderr, "mansio: %s: %s\n", escape(recipient).c_str(), escape(reply).c_str());
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
  const std::string content = with_network_lines(read_all(options.file));
  const Envelope envelope = envelope_of(options, content);
  const auto clock = make_system_clock();
  boost::asio::io_context context(1);
  Sent sent;
  std::exception_ptr failure;
  boost::asio::co_spawn(context, send(server, envelope, content, *clock, sent),
                        [&failure](std::exception_ptr error) { failure = error; });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return report(sent, json);
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

}  // namespace mansio::cli
