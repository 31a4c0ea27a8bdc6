// A client and a handler around one serve(), for the server's tests: each send() runs until nothing
// happens any more, on virtual time. Test code.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <string>
#include <vector>

#include "smtp/server.h"
#include "testing/memory_stream.h"
#include "testing/virtual_clock.h"

namespace mansio::smtp::test {

/// What one message ended as.
struct Received {
  Envelope envelope;
  std::string content;
  std::vector<std::size_t> pieces;
  bool finished = false;
};

class RecordingHandler final : public ServerHandler {
 public:
  Reply connect(const Endpoint& /*peer*/) override { return on_connect; }

  Reply mail(const Envelope& /*envelope*/, std::uint64_t size) override {
    sizes.push_back(size);
    return on_mail;
  }

  Reply rcpt(const Envelope& /*envelope*/, const Recipient& recipient) override {
    if (recipient.address.local.starts_with("bad")) return {550, {5, 1, 1}, "No such user"};
    return {250, {2, 1, 5}, "Ok"};
  }

  std::unique_ptr<ContentReceiver> data(Envelope envelope, Reply& refusal) override {
    if (on_data) {
      refusal = *on_data;
      return nullptr;
    }
    messages.push_back({std::move(envelope), {}, {}, false});
    return std::make_unique<Receiver>(*this, messages.size() - 1);
  }

  bool under_stress() const override { return stress; }

  bool stopping() const override { return stop; }

  void when_stopping(std::function<void()> function) override { wake = std::move(function); }

  void ended(const ServerReport& its_report) override { report = its_report; }

  /// Messages whose content was taken to the end.
  std::vector<Received> finished() const {
    std::vector<Received> result;
    for (const auto& message : messages) {
      if (message.finished) result.push_back(message);
    }
    return result;
  }

  // Answers
  Reply on_connect{220, {}, "Ok"};
  Reply on_mail{250, {2, 1, 0}, "Ok"};
  std::optional<Reply> on_data;
  std::optional<Reply> on_write;
  std::optional<ContentVerdict> on_finish;
  bool stress = false;
  bool stop = false;

  // Records
  std::deque<Received> messages;
  std::vector<std::uint64_t> sizes;
  std::function<void()> wake;
  std::optional<ServerReport> report;

 private:
  class Receiver final : public ContentReceiver {
   public:
    Receiver(RecordingHandler& handler, std::size_t index) : handler_(handler), index_(index) {}

    Task<std::optional<Reply>> write(std::string_view octets) override {
      handler_.messages[index_].content.append(octets);
      handler_.messages[index_].pieces.push_back(octets.size());
      co_return handler_.on_write;
    }

    Task<ContentVerdict> finish() override {
      handler_.messages[index_].finished = true;
      if (handler_.on_finish) co_return *handler_.on_finish;
      const Reply ok{250, {2, 0, 0}, "Ok: queued as ID"};
      std::vector<Reply> replies;
      const bool lmtp =
          handler_.messages[index_].envelope.origin.protocol.find("LMTP") != std::string::npos;
      replies.assign(lmtp ? handler_.messages[index_].envelope.recipients.size() : 1, ok);
      ContentVerdict verdict = std::move(replies);
      co_return verdict;
    }

   private:
    RecordingHandler& handler_;
    std::size_t index_;
  };
};

class Conversation {
 public:
  explicit Conversation(ServerOptions its_options = {}, std::string before = {},
                        std::size_t read_chunk = 0)
      : options(std::move(its_options)) {
    if (options.hostname.empty()) options.hostname = "mx.example";
    fake::MemoryStreamOptions stream_options;
    stream_options.clock = &clock;
    stream_options.read_chunk = read_chunk;
    auto pair = fake::make_stream_pair(context.get_executor(), stream_options);
    client_ = std::move(pair.first);
    server_ = std::move(pair.second);
    if (!before.empty()) write(std::move(before));
  }

  /// Starts the server; gives the greeting.
  std::string start() {
    boost::asio::co_spawn(context, serve_it(), [this](std::exception_ptr) { over = true; });
    boost::asio::co_spawn(context, read_on(), boost::asio::detached);
    return said();
  }

  /// Starts and says EHLO.
  void open() {
    start();
    send("EHLO client.example\r\n");
  }

  /// Sends as one piece; gives what the server says until it waits.
  std::string send(std::string text) {
    write(std::move(text));
    return said();
  }

  /// What the server says while time goes on.
  std::string pass(Duration time) {
    clock.advance(context, time);
    return said();
  }

  std::string said() {
    fake::run_until_idle(context);
    return std::exchange(heard_, {});
  }

  void hang_up() {
    client_->close();
    fake::run_until_idle(context);
  }

  /// The client's side of STARTTLS.
  void start_tls() {
    boost::asio::co_spawn(context, tls_handshake(), boost::asio::detached);
    fake::run_until_idle(context);
  }

  fake::VirtualClock clock;
  boost::asio::io_context context;
  ServerOptions options;
  std::shared_ptr<RecordingHandler> handler = std::make_shared<RecordingHandler>();
  bool over = false;    ///< serve() has returned
  bool closed = false;  ///< the client has seen the end of the stream

 private:
  Task<void> serve_it() {
    ServerOptions copy = options;
    co_await serve(std::move(server_), std::move(copy), handler, clock);
  }

  Task<void> read_on() {
    std::vector<char> buffer(4096);
    while (true) {
      const std::span<char> room(buffer);
      const auto read = co_await client_->read_some(room);
      if (!read) break;
      heard_.append(buffer.data(), *read);
      // What follows this reply belongs to the handshake.
      if (heard_.ends_with("220 2.0.0 Ready to start TLS\r\n")) co_return;
    }
    closed = true;
  }

  Task<void> tls_handshake() {
    const auto agreed = co_await client_->start_tls(tls_, false, std::string("mx.example"));
    if (agreed) {
      co_await read_on();
    } else {
      closed = true;
    }
  }

  void write(std::string text) {
    boost::asio::co_spawn(context, write_it(std::move(text)), boost::asio::detached);
    fake::run_until_idle(context);
  }

  Task<void> write_it(std::string text) {
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(text)};
    const auto written = co_await client_->write(std::move(pieces));
    static_cast<void>(written);  // the server may have closed
  }

  std::unique_ptr<fake::MemoryStream> client_;
  std::unique_ptr<fake::MemoryStream> server_;
  fake::MemoryTlsContext tls_;
  std::string heard_;
};

}  // namespace mansio::smtp::test
