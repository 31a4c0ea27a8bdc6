#include "mansio/smtp_submit.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "net/net.h"
#include "smtp/client.h"

namespace mansio::cli {
namespace {

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

std::string last_words(const smtp::Answer& answer) {
  return answer.replied() ? answer.reply.to_string() : answer.reply.text;
}

bool is_permanent(const smtp::Answer& answer) {
  return answer.replied() && answer.reply.permanent();
}

smtp::ClientOptions client_options(const SubmitTimes& times) {
  smtp::ClientOptions options;
  options.ehlo = host_name();
  options.timeouts.greeting = times.greeting;
  options.timeouts.hello = options.timeouts.mail = options.timeouts.recipient = times.answer;
  options.timeouts.data = options.timeouts.block = options.timeouts.final_dot = times.answer;
  return options;
}

/// What a server without SMTPUTF8 can be told.
bool has_ascii_form(const Envelope& envelope) {
  return ascii_address(envelope.reverse_path) &&
         std::all_of(envelope.recipients.begin(), envelope.recipients.end(),
                     [](const Recipient& one) { return ascii_address(one.address).has_value(); });
}

/// The dialogue, in its order.
Task<void> send(Endpoint server, const Envelope& envelope, const std::string& content, Clock& clock,
                SubmitTimes times, Sent& sent) {
  const auto connector = net::make_connector(clock);
  const std::string where = server.to_string();
  auto connecting =
      connector->connect(std::move(server), {}, clock.steady_now() + std::chrono::seconds(30));
  auto connected = co_await std::move(connecting);
  if (!connected) {
    sent.reply = "cannot connect to " + where + ": " + connected.error().message();
    co_return;
  }
  smtp::ClientSession session(std::move(*connected), client_options(times), clock);
  auto answer = co_await session.greet();
  sent.connected = answer.replied();
  if (answer.positive()) answer = co_await session.hello();
  if (!answer.positive()) {
    sent.reply = last_words(answer);
    co_return;
  }

  if (!session.offered().smtputf8 && !has_ascii_form(envelope)) {
    sent.reply = "the server does not offer SMTPUTF8, which an address needs";
    sent.permanent = true;
    co_await session.quit();
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
  for (std::uint32_t i = 0; i < transaction.recipient.size(); ++i) {
    const smtp::Answer& its = transaction.recipient[i];
    if (!transaction.mail.positive() || its.positive()) continue;
    Sent::Refused& refused = sent.refused.emplace_back();
    refused.recipient = i;
    refused.reply = last_words(its);
    refused.permanent = is_permanent(its);
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
    sent.reply = sent.refused.front().reply;
  }
  if (sent.reply.empty()) sent.reply = last_words(*decided);
  sent.permanent = !sent.accepted && is_permanent(*decided);
  co_await session.quit();
}

}  // namespace

Sent submit_message(const Endpoint& server, const Envelope& envelope, const std::string& content,
                    const SubmitTimes& times) {
  const auto clock = make_system_clock();
  boost::asio::io_context context(1);
  Sent sent;
  std::exception_ptr failure;
  auto sending = send(server, envelope, content, *clock, times, sent);
  boost::asio::co_spawn(context, std::move(sending),
                        [&failure](std::exception_ptr error) { failure = error; });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return sent;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace mansio::cli
