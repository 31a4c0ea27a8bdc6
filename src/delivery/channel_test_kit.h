// What the tests of channels share: works with content in memory, a lane that hands them out and
// keeps what comes back, and a channel over the network in memory. For tests only.
#pragma once

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "delivery/routes.h"
#include "delivery/smtp_channel.h"
#include "testing/fake_resolver.h"
#include "testing/memory_network.h"
#include "testing/run.h"
#include "testing/scripted_server.h"
#include "testing/virtual_clock.h"

namespace mansio::delivery {

/// Content that is in memory, or has to be read in pieces, or cannot be read to its end.
class TestContent final : public ContentReader {
 public:
  enum class Kind { in_memory, pieces, fails, throws };

  TestContent(std::string octets, Kind kind)
      : octets_(std::make_shared<const std::string>(std::move(octets))), kind_(kind) {}

  Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t length) override {
    if (kind_ == Kind::throws) throw std::runtime_error("a broken reader");
    if (kind_ == Kind::fails && offset > 0) {
      co_return boost::system::errc::make_error_code(boost::system::errc::io_error);
    }
    const std::uint64_t most = kind_ == Kind::fails ? 10 : 1000;
    if (offset >= octets_->size()) co_return std::string();
    co_return octets_->substr(static_cast<std::size_t>(offset),
                              static_cast<std::size_t>(std::min(length, most)));
  }

  std::shared_ptr<const std::string> in_memory() const override {
    return kind_ == Kind::in_memory ? octets_ : nullptr;
  }

 private:
  std::shared_ptr<const std::string> octets_;
  Kind kind_;
};

class TestWork final : public Work {
 public:
  TestWork(std::shared_ptr<const Message> message, std::string octets, TestContent::Kind kind)
      : content_(std::move(octets), kind) {
    for (std::uint32_t i = 0; i < message->envelope.recipients.size(); ++i) {
      recipients_.push_back(i);
    }
    message_ = std::move(message);
  }

  ContentReader& content() override { return content_; }

  void before_final_dot() override { ++dots; }

  int dots = 0;

 private:
  TestContent content_;
};

/// A lane whose works are known beforehand.
class TestLane final : public WorkSource {
 public:
  struct Finished {
    std::string sender;
    std::vector<Disposition> dispositions;
    int dots = 0;
  };

  std::unique_ptr<Work> next() override {
    if (waiting.empty()) return nullptr;
    std::unique_ptr<Work> work = std::move(waiting.front());
    waiting.pop_front();
    return work;
  }

  /// Each wait brings the next of `later`.
  Task<bool> wait(Duration at_most) override {
    waits.push_back(at_most);
    if (later.empty()) co_return false;
    if (before_wait_ends) before_wait_ends();
    waiting.push_back(std::move(later.front()));
    later.pop_front();
    co_return true;
  }

  void finished(std::unique_ptr<Work> work, std::vector<Disposition> dispositions) override {
    Finished entry;
    entry.sender = work->message().envelope.reverse_path.to_string();
    entry.dispositions = std::move(dispositions);
    entry.dots = static_cast<TestWork&>(*work).dots;
    done.push_back(std::move(entry));
  }

  void put_back(std::unique_ptr<Work> work) override {
    ++put_backs;
    if (keep_put_back) {
      returned.push_back(std::move(work));
    } else {
      waiting.push_front(std::move(work));
    }
  }

  std::deque<std::unique_ptr<Work>> waiting;
  std::deque<std::unique_ptr<Work>> later;
  std::function<void()> before_wait_ends;
  std::vector<Finished> done;
  std::vector<Duration> waits;
  std::vector<std::unique_ptr<Work>> returned;
  bool keep_put_back = false;
  int put_backs = 0;
};

inline Address address(const std::string& text) {
  return text.empty() ? Address{} : Address::parse(text, true).value();
}

struct TestMessage {
  std::string sender = "s@a.example";
  std::vector<std::string> recipients = {"r@b.example"};
  std::string content = "Subject: x\r\n\r\nhello\r\n";
  TestContent::Kind kind = TestContent::Kind::in_memory;
  std::function<void(Message&)> change = nullptr;

  std::unique_ptr<Work> work() const {
    auto message = std::make_shared<Message>();
    message->envelope.reverse_path = address(sender);
    for (const std::string& recipient : recipients) {
      Recipient entry;
      entry.address = address(recipient);
      message->envelope.recipients.push_back(std::move(entry));
    }
    ContentScanner scanner;
    scanner.feed(content);
    message->content.facts = scanner.finish();
    if (change) change(*message);
    return std::make_unique<TestWork>(std::move(message), content, kind);
  }
};

/// A channel, one or more scripted servers, and a lane.
class ChannelKit {
 public:
  explicit ChannelKit(bool lmtp = false) : lmtp_(lmtp) {
    route.pattern = "*";
    route.tls = "none";
    primary = add_server({"192.0.2.2", 25});
  }

  std::unique_ptr<fake::ScriptedServer> add_server(const Endpoint& endpoint) {
    auto listener = network.listen(context.get_executor(), endpoint);
    auto server = std::make_unique<fake::ScriptedServer>(context.get_executor(), clock,
                                                         std::move(listener), lmtp_);
    add_hop(endpoint);
    return server;
  }

  void add_hop(const Endpoint& endpoint) { route.next_hop.push_back(endpoint); }

  void add(const TestMessage& message) { lane.waiting.push_back(message.work()); }

  SmtpChannel& channel() {
    if (!channel_) {
      auto settings = std::make_shared<settings::Settings>();
      settings->routes.push_back(route);
      SmtpChannelOptions options;
      options.lmtp = lmtp_;
      options.timeouts = timeouts;
      options.return_paths = return_paths;
      channel_ = std::make_unique<SmtpChannel>(
          options, make_routes(settings), network, clock,
          std::make_shared<fake::MemoryTlsContext>(), std::make_shared<fake::MemoryTlsContext>(),
          &traces);
    }
    return *channel_;
  }

  /// Over the kit's resolver, as the host out.example.
  std::shared_ptr<RouteSource> make_routes(std::shared_ptr<settings::Settings> settings) {
    settings->dns = dns;
    Ourselves ourselves;
    ourselves.hostname = "out.example";
    return std::make_shared<Routes>(std::move(settings), resolver, std::move(ourselves),
                                    std::make_unique<SeededRandom>(1));
  }

  SessionReport run() {
    SessionRequest its_request = request;
    its_request.lane.destination = "b.example";
    its_request.binding.ehlo = "out.example";
    return fake::run(context, clock, channel().run(std::move(its_request), lane));
  }

  /// Runs with one message and gives its dispositions.
  std::vector<Disposition> deliver(const TestMessage& message) {
    add(message);
    report = run();
    return lane.done.empty() ? std::vector<Disposition>{} : lane.done.back().dispositions;
  }

  Disposition deliver_one(const TestMessage& message = {}) {
    std::vector<Disposition> dispositions = deliver(message);
    return dispositions.empty() ? Disposition{} : dispositions.front();
  }

  boost::asio::io_context context;
  ReturnPaths return_paths;
  fake::VirtualClock clock;
  fake::MemoryNetwork network{clock};
  std::shared_ptr<fake::FakeResolver> resolver = std::make_shared<fake::FakeResolver>(&clock);
  settings::Dns dns;
  TraceBook traces{clock};
  settings::Route route;
  settings::Timeouts timeouts;
  SessionRequest request;
  TestLane lane;
  SessionReport report;
  std::unique_ptr<fake::ScriptedServer> primary;

 private:
  bool lmtp_;
  std::unique_ptr<SmtpChannel> channel_;
};

}  // namespace mansio::delivery
