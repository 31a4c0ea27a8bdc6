#include "testing/scripted_server.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <list>
#include <map>

#include "base/text.h"
#include "testing/line_reader.h"

namespace mansio::fake {
namespace {

bool starts_with(std::string_view line, std::string_view prefix) {
  return line.size() >= prefix.size() &&
         equals_ignoring_case(line.substr(0, prefix.size()), prefix);
}

std::string address_of(std::string_view line) {
  const auto open = line.find('<');
  const auto close = line.find('>', open);
  if (open == line.npos || close == line.npos) return "";
  return std::string(line.substr(open + 1, close - open - 1));
}

}  // namespace

struct ScriptedServer::State {
  State(Clock& its_clock, std::unique_ptr<Listener> its_listener, bool is_lmtp)
      : clock(its_clock), listener(std::move(its_listener)), lmtp(is_lmtp) {}

  struct Rule {
    std::string event;
    Reaction reaction;
  };

  Clock& clock;
  std::unique_ptr<Listener> listener;
  bool lmtp;
  bool stopped = false;
  std::vector<std::string> extensions{"PIPELINING", "8BITMIME", "SIZE 52428800",
                                      "ENHANCEDSTATUSCODES", "DSN"};
  std::shared_ptr<TlsContext> tls = std::make_shared<MemoryTlsContext>();
  std::list<Rule> rules;  // the newest first
  std::deque<Script> scripts;
  std::deque<Connection> connections;  // a deque: coroutines keep references
  std::vector<Delivery> deliveries;
  std::list<Stream*> streams;
  std::size_t open_most = 0;

  /// The rule's reaction to `event`, or `usual`.
  Reaction react(std::string_view event, std::string usual) {
    for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
      if (!starts_with(event, rule->event)) continue;
      auto reaction = rule->reaction;
      if (rule->reaction.times > 0 && --rule->reaction.times == 0) rules.erase(rule);
      return reaction;
    }
    return Reaction(std::move(usual));
  }

  std::string ehlo_reply() const {
    if (extensions.empty()) return "250 mx.example\r\n";
    std::string reply = "250-mx.example\r\n";
    for (const auto& extension : extensions) {
      reply += (&extension == &extensions.back() ? "250 " : "250-") + extension + "\r\n";
    }
    return reply;
  }
};

namespace {

/// One connection: the dialogue by rules.
struct Dialogue {
  std::unique_ptr<Stream> stream;
  LineReader reader;
  ScriptedServer::Connection& record;
  ScriptedServer::Delivery transaction;
  bool have_mail = false;
};

}  // namespace

/// The coroutines; a class so that they see the private state.
struct ScriptedServerTasks {
  using State = ScriptedServer::State;
  using StatePointer = std::shared_ptr<State>;

  static Task<Result<void>> send(Stream& stream, std::string text) {
    if (text.empty()) co_return Result<void>();
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(text)};
    co_return co_await stream.write(std::move(pieces));
  }

  /// Says nothing more and reads nothing, until the client or the test ends the connection.
  static Task<void> stall(StatePointer state, Stream& stream) {
    while (!state->stopped && !stream.has_input()) {
      co_await sleep_for(state->clock, std::chrono::seconds(1));
    }
    std::array<char, 4096> ignored;
    while (!state->stopped) {
      const std::span<char> buffer(ignored);
      const auto read = co_await stream.read_some(buffer);
      if (read.has_error()) co_return;
    }
  }

  static Task<void> drain(Stream& stream) {
    std::array<char, 4096> ignored;
    for (;;) {
      const std::span<char> buffer(ignored);
      const auto read = co_await stream.read_some(buffer);
      if (read.has_error()) co_return;
    }
  }

  static void reset(Stream& stream) {
    if (auto* memory = dynamic_cast<MemoryStream*>(&stream)) memory->reset();
    stream.close();
  }

  /// False: the connection is over.
  static Task<bool> apply(StatePointer state, Dialogue& dialogue, Reaction reaction) {
    if (reaction.delay > Duration::zero()) co_await sleep_for(state->clock, reaction.delay);
    const auto sent = co_await send(*dialogue.stream, std::move(reaction.reply));
    if (sent.has_error()) co_return false;
    switch (reaction.then) {
      case Reaction::Then::go_on:
        co_return true;
      case Reaction::Then::close:
        break;
      case Reaction::Then::reset:
        reset(*dialogue.stream);
        break;
      case Reaction::Then::stall:
        co_await stall(state, *dialogue.stream);
        break;
    }
    co_return false;
  }

  static Task<bool> answer(StatePointer state, Dialogue& dialogue, std::string event,
                           std::string usual) {
    auto reaction = state->react(event, std::move(usual));
    co_return co_await apply(state, dialogue, std::move(reaction));
  }

  /// DATA was accepted.
  static Task<bool> take_content(StatePointer state, Dialogue& dialogue) {
    auto content = co_await dialogue.reader.read_data(*dialogue.stream);
    if (content.has_error()) co_return false;
    dialogue.transaction.content = std::move(*content);
    auto concluding = conclude(state, dialogue);
    co_return co_await std::move(concluding);
  }

  /// "BDAT size [LAST]" (RFC 3030 §2).
  static Task<bool> take_chunk(StatePointer state, Dialogue& dialogue, std::string line) {
    const auto octets = co_await dialogue.reader.read_octets(*dialogue.stream,
                                                             std::stoul(line.substr(5)));
    if (octets.has_error()) co_return false;
    auto& transaction = dialogue.transaction;
    if (transaction.recipients.empty()) {
      co_return co_await answer(state, dialogue, line, "503 5.5.1 No valid recipients\r\n");
    }
    transaction.content += *octets;
    const bool last = line.ends_with(" LAST");
    if (!last) co_return co_await answer(state, dialogue, line, "250 2.0.0 Chunk ok\r\n");
    auto concluding = conclude(state, dialogue);
    co_return co_await std::move(concluding);
  }

  /// The content is complete: one reply, or one per recipient with LMTP (RFC 2033 §4.2).
  static Task<bool> conclude(StatePointer state, Dialogue& dialogue) {
    auto delivery = std::exchange(dialogue.transaction, {});
    dialogue.have_mail = false;
    delivery.connection = 0;
    for (const auto& connection : state->connections) {
      if (&connection == &dialogue.record) break;
      ++delivery.connection;
    }
    std::vector<std::string> events;
    if (state->lmtp) {
      for (const auto& line : delivery.recipients) events.push_back(". " + address_of(line));
    } else {
      events.emplace_back(".");
    }
    const auto index = state->deliveries.size();
    state->deliveries.push_back(std::move(delivery));
    for (const auto& event : events) {
      auto reaction = state->react(event, "250 2.0.0 Ok: queued as 12345\r\n");
      state->deliveries[index].reply += reaction.reply;
      const bool more = co_await apply(state, dialogue, std::move(reaction));
      if (!more) co_return false;
    }
    co_return true;
  }

  static Task<bool> upgrade(StatePointer state, Dialogue& dialogue, std::string line) {
    auto reaction = state->react(line, "220 2.0.0 Ready to start TLS\r\n");
    const bool accepted = reaction.reply.starts_with("220");
    const bool more = co_await apply(state, dialogue, std::move(reaction));
    if (!more || !accepted) co_return more;
    const auto tls = co_await dialogue.stream->start_tls(*state->tls, true, std::string());
    if (tls.has_error()) {
      dialogue.record.problem = "handshake: " + tls.error().message();
      co_return false;
    }
    dialogue.record.tls = true;
    co_return true;
  }

  static Task<bool> command(StatePointer state, Dialogue& dialogue, std::string line) {
    auto& transaction = dialogue.transaction;
    if (starts_with(line, state->lmtp ? "LHLO" : "EHLO")) {
      dialogue.have_mail = false;
      co_return co_await answer(state, dialogue, line, state->ehlo_reply());
    }
    if (starts_with(line, "HELO")) {
      co_return co_await answer(state, dialogue, line, "250 mx.example\r\n");
    }
    if (starts_with(line, "STARTTLS")) co_return co_await upgrade(state, dialogue, line);
    if (starts_with(line, "MAIL FROM:")) {
      auto reaction = state->react(line, "250 2.1.0 Ok\r\n");
      dialogue.have_mail = reaction.reply.starts_with("250");
      transaction = ScriptedServer::Delivery();
      transaction.mail = line;
      co_return co_await apply(state, dialogue, std::move(reaction));
    }
    if (starts_with(line, "RCPT TO:")) {
      auto reaction =
          state->react(line, dialogue.have_mail ? "250 2.1.5 Ok\r\n" : "503 5.5.1 MAIL first\r\n");
      if (reaction.reply.starts_with("25")) transaction.recipients.push_back(line);
      co_return co_await apply(state, dialogue, std::move(reaction));
    }
    if (starts_with(line, "DATA")) {
      const bool ready = !transaction.recipients.empty();
      auto reaction = state->react(line, ready ? "354 End data with <CR><LF>.<CR><LF>\r\n"
                                               : "503 5.5.1 No valid recipients\r\n");
      const bool accepted = reaction.reply.starts_with("354");
      const bool more = co_await apply(state, dialogue, std::move(reaction));
      if (!more || !accepted) co_return more;
      co_return co_await take_content(state, dialogue);
    }
    if (starts_with(line, "BDAT ")) {
      co_return co_await take_chunk(state, dialogue, line);
    }
    if (starts_with(line, "RSET")) {
      dialogue.have_mail = false;
      transaction = ScriptedServer::Delivery();
      co_return co_await answer(state, dialogue, line, "250 2.0.0 Ok\r\n");
    }
    if (starts_with(line, "NOOP")) {
      co_return co_await answer(state, dialogue, line, "250 2.0.0 Ok\r\n");
    }
    if (starts_with(line, "QUIT")) {
      co_await answer(state, dialogue, line, "221 2.0.0 Bye\r\n");
      co_return false;
    }
    co_return co_await answer(state, dialogue, line, "502 5.5.2 Unknown command\r\n");
  }

  static Task<void> by_rules(StatePointer state, Dialogue& dialogue) {
    bool more = co_await answer(state, dialogue, "connect", "220 mx.example ESMTP\r\n");
    while (more) {
      auto line = co_await dialogue.reader.read_line(*dialogue.stream);
      if (line.has_error()) co_return;
      dialogue.record.lines.push_back(*line);
      more = co_await command(state, dialogue, *line);
    }
  }

  /// False: the script is over.
  static Task<bool> step(StatePointer state, Dialogue& dialogue, Step step) {
    auto& stream = *dialogue.stream;
    switch (step.kind) {
      case Step::Kind::send: {
        const auto sent = co_await send(stream, std::move(step.text));
        co_return sent.has_value();
      }
      case Step::Kind::expect: {
        const auto line = co_await dialogue.reader.read_line(stream);
        if (line.has_error()) {
          dialogue.record.problem = "expected " + step.text + ": " + line.error().message();
          co_return false;
        }
        dialogue.record.lines.push_back(*line);
        if (!starts_with(*line, step.text)) {
          dialogue.record.problem = "expected " + step.text + ", got " + *line;
          co_return false;
        }
        co_return true;
      }
      case Step::Kind::read_data: {
        auto content = co_await dialogue.reader.read_data(stream);
        if (content.has_error()) {
          dialogue.record.problem = "data: " + content.error().message();
          co_return false;
        }
        ScriptedServer::Delivery delivery;
        delivery.content = std::move(*content);
        delivery.connection = state->connections.size() - 1;
        state->deliveries.push_back(std::move(delivery));
        co_return true;
      }
      case Step::Kind::start_tls: {
        const auto tls = co_await stream.start_tls(*state->tls, true, std::string());
        dialogue.record.tls = tls.has_value();
        if (tls.has_error()) dialogue.record.problem = "handshake: " + tls.error().message();
        co_return tls.has_value();
      }
      case Step::Kind::wait:
        co_await sleep_for(state->clock, step.duration);
        co_return true;
      case Step::Kind::stall:
        co_await stall(state, stream);
        co_return false;
      case Step::Kind::drain:
        co_await drain(stream);
        co_return false;
      case Step::Kind::reset:
        reset(stream);
        co_return false;
      case Step::Kind::close:
        break;
    }
    co_return false;
  }

  static Task<void> by_script(StatePointer state, Dialogue& dialogue, Script script) {
    for (const auto& next : script.steps()) {
      const bool more = co_await step(state, dialogue, next);
      if (!more) co_return;
    }
  }

  static Task<void> serve(StatePointer state, std::unique_ptr<Stream> stream) {
    auto& record = state->connections.emplace_back();
    record.peer = stream->peer();
    Dialogue dialogue{std::move(stream), {}, record, {}};
    const auto place = state->streams.insert(state->streams.end(), dialogue.stream.get());
    state->open_most = std::max(state->open_most, state->streams.size());
    if (state->scripts.empty()) {
      co_await by_rules(state, dialogue);
    } else {
      auto script = std::move(state->scripts.front());
      state->scripts.pop_front();
      co_await by_script(state, dialogue, std::move(script));
    }
    state->streams.erase(place);
    dialogue.stream->close();
    record.ended = true;
  }

  static Task<void> accept(StatePointer state) {
    const auto executor = co_await boost::asio::this_coro::executor;
    while (!state->stopped) {
      auto stream = co_await state->listener->accept(executor);
      if (stream.has_error()) co_return;
      boost::asio::co_spawn(executor, serve(state, std::move(*stream)), boost::asio::detached);
    }
  }
};

ScriptedServer::ScriptedServer(boost::asio::any_io_executor executor, Clock& clock,
                               std::unique_ptr<Listener> listener, bool lmtp)
    : state_(std::make_shared<State>(clock, std::move(listener), lmtp)) {
  boost::asio::co_spawn(executor, ScriptedServerTasks::accept(state_), boost::asio::detached);
}

ScriptedServer::~ScriptedServer() { stop(); }

void ScriptedServer::set_extensions(std::vector<std::string> extensions) {
  state_->extensions = std::move(extensions);
}

void ScriptedServer::on(std::string event, Reaction reaction) {
  state_->rules.push_front(State::Rule{std::move(event), std::move(reaction)});
}

void ScriptedServer::clear_rules() { state_->rules.clear(); }

void ScriptedServer::follow(Script script) { state_->scripts.push_back(std::move(script)); }

void ScriptedServer::set_tls(std::shared_ptr<TlsContext> context) {
  state_->tls = std::move(context);
}

Endpoint ScriptedServer::endpoint() const { return state_->listener->local(); }

const std::deque<ScriptedServer::Connection>& ScriptedServer::connections() const {
  return state_->connections;
}

const std::vector<ScriptedServer::Delivery>& ScriptedServer::deliveries() const {
  return state_->deliveries;
}

std::size_t ScriptedServer::open() const { return state_->streams.size(); }

std::size_t ScriptedServer::open_most() const { return state_->open_most; }

std::size_t ScriptedServer::count(std::string_view prefix) const {
  std::size_t total = 0;
  for (const auto& connection : state_->connections) {
    for (const auto& line : connection.lines) total += starts_with(line, prefix) ? 1 : 0;
  }
  return total;
}

void ScriptedServer::stop() {
  state_->stopped = true;
  state_->listener->close();
  for (auto* stream : state_->streams) stream->close();
}

}  // namespace mansio::fake
