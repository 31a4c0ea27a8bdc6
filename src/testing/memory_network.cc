#include "testing/memory_network.h"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <deque>
#include <system_error>

#include "base/event.h"

namespace mansio::fake {

/// Connections that the client has and the server has not accepted yet.
struct MemoryNetwork::Backlog {
  explicit Backlog(boost::asio::any_io_executor its_executor)
      : executor(its_executor), changed(std::move(its_executor)) {}

  boost::asio::any_io_executor executor;
  Event changed;
  std::deque<std::unique_ptr<MemoryStream>> streams;
  bool closed = false;
};

class MemoryNetwork::MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<Backlog> backlog, Endpoint endpoint)
      : backlog_(std::move(backlog)), endpoint_(std::move(endpoint)) {}

  ~MemoryListener() override { MemoryListener::close(); }

  Task<Result<std::unique_ptr<Stream>>> accept(boost::asio::any_io_executor) override {
    return accept(backlog_);
  }

  Endpoint local() const override { return endpoint_; }

  void close() override {
    backlog_->closed = true;
    backlog_->streams.clear();
    backlog_->changed.notify_all();
  }

 private:
  static Task<Result<std::unique_ptr<Stream>>> accept(std::shared_ptr<Backlog> backlog) {
    while (backlog->streams.empty() && !backlog->closed) {
      co_await backlog->changed.wait();
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        co_return ErrorCode(boost::asio::error::operation_aborted);
      }
    }
    if (backlog->closed) co_return ErrorCode(boost::asio::error::operation_aborted);
    std::unique_ptr<Stream> stream = std::move(backlog->streams.front());
    backlog->streams.pop_front();
    co_return stream;
  }

  std::shared_ptr<Backlog> backlog_;
  Endpoint endpoint_;
};

MemoryNetwork::MemoryNetwork(Clock& clock) : clock_(clock) {}

std::unique_ptr<Listener> MemoryNetwork::listen(boost::asio::any_io_executor executor,
                                                Endpoint endpoint) {
  if (!endpoint.is_unix() && endpoint.port == 0) endpoint.port = next_port_++;
  const auto previous = listeners_[endpoint].lock();
  if (previous && !previous->closed) {
    throw std::system_error(EADDRINUSE, std::generic_category(), endpoint.to_string());
  }
  auto backlog = std::make_shared<Backlog>(std::move(executor));
  listeners_[endpoint] = backlog;
  return std::make_unique<MemoryListener>(std::move(backlog), std::move(endpoint));
}

Task<Result<std::unique_ptr<Stream>>> MemoryNetwork::connect(Endpoint peer, std::string source,
                                                             SteadyTime deadline) {
  const auto executor = co_await boost::asio::this_coro::executor;
  attempts_.push_back(Attempt{peer, source});
  const auto behaviour = behaviour_.find(peer);
  if (behaviour != behaviour_.end() && behaviour->second == Behaviour::black_hole) {
    co_await sleep_for(clock_, deadline - clock_.steady_now());
    co_return ErrorCode(boost::asio::error::timed_out);
  }
  const auto backlog = listeners_[peer].lock();
  if (!backlog || backlog->closed || behaviour != behaviour_.end()) {
    co_return ErrorCode(boost::asio::error::connection_refused);
  }

  MemoryStreamOptions options;
  options.clock = &clock_;
  options.read_chunk = read_chunk_;
  options.capacity = capacity_;
  options.first = Endpoint{source.empty() ? "192.0.2.1" : source, next_port_++};
  options.second = peer;
  auto pair = make_stream_pair(executor, backlog->executor, options);
  pair.first->set_deadline(deadline);
  backlog->streams.push_back(std::move(pair.second));
  backlog->changed.notify_all();
  std::unique_ptr<Stream> stream = std::move(pair.first);
  co_return stream;
}

}  // namespace mansio::fake
