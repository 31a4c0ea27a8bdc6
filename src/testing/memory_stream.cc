#include "testing/memory_stream.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <limits>

#include "base/assert.h"
#include "base/event.h"

namespace mansio::fake {
namespace {

ErrorCode error_of(boost::system::errc::errc_t code) {
  return boost::system::errc::make_error_code(code);
}

constexpr auto kNever = std::numeric_limits<std::size_t>::max();

}  // namespace

/// One end: what has arrived for its owner, and the owner's state.
struct MemoryStream::Side : std::enable_shared_from_this<Side> {
  Side(boost::asio::any_io_executor its_executor, const MemoryStreamOptions& options)
      : executor(its_executor),
        changed(std::move(its_executor)),
        clock(options.clock),
        read_chunk(options.read_chunk),
        capacity(options.capacity) {
    if (clock != nullptr) timer = clock->make_timer(executor);
  }

  boost::asio::any_io_executor executor;
  Event changed;  // anything below, or the room at the other end
  Clock* clock;
  std::unique_ptr<Timer> timer;
  std::size_t read_chunk;
  std::size_t capacity;
  Endpoint local;
  Endpoint peer;
  std::weak_ptr<Side> other;

  std::string input;
  std::optional<std::size_t> input_tls;  ///< where in `input` the peer's handshake begins
  bool input_ended = false;              ///< the peer has closed
  bool closed = false;
  ErrorCode failure;
  SteadyTime deadline = SteadyTime::max();
  std::size_t waiting = 0;

  std::size_t operations = 0;
  std::size_t fail_at = kNever;
  ErrorCode fail_error;
  std::optional<TlsCall> tls;
  Result<TlsInfo> tls_result = TlsInfo{"TLSv1.3", "TLS_AES_256_GCM_SHA384", "", false};

  /// An error that ends any operation now.
  ErrorCode trouble() const {
    if (closed) return boost::asio::error::operation_aborted;
    if (failure) return failure;
    if (clock != nullptr && clock->steady_now() >= deadline) {
      return boost::asio::error::timed_out;
    }
    return {};
  }

  /// Counts an operation; the chosen one fails.
  ErrorCode begin() {
    if (++operations > fail_at) {
      failure = fail_error;
      reset_other();
    }
    return trouble();
  }

  void arm() {
    if (timer && deadline != SteadyTime::max()) {
      timer->start(deadline, [this] { changed.notify_all(); });
    }
  }

  void reset_other() {
    if (const auto peer_side = other.lock()) {
      if (!peer_side->failure) peer_side->failure = error_of(boost::system::errc::connection_reset);
      peer_side->input.clear();
      peer_side->changed.notify_all();
    }
  }

  void fail(ErrorCode error) {
    if (!failure) failure = error;
  }
};

namespace {

using Side = MemoryStream::Side;

/// Until something changes, the deadline passes or the coroutine is cancelled.
Task<ErrorCode> wait(std::shared_ptr<Side> side) {
  if (side->waiting++ == 0) side->arm();
  co_await side->changed.wait();
  if (--side->waiting == 0 && side->timer) side->timer->cancel();
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none) {
    co_return boost::asio::error::operation_aborted;
  }
  co_return side->trouble();
}

Task<Result<std::size_t>> read(std::shared_ptr<Side> side, std::span<char> buffer) {
  MANSIO_ASSERT(!buffer.empty());
  auto error = side->begin();
  for (;;) {
    if (error) {
      side->fail(error);
      co_return error;
    }
    const auto readable = side->input_tls ? *side->input_tls : side->input.size();
    if (readable > 0) {
      auto size = std::min(readable, buffer.size());
      if (side->read_chunk > 0) size = std::min(size, side->read_chunk);
      std::copy_n(side->input.begin(), size, buffer.begin());
      side->input.erase(0, size);
      if (side->input_tls) *side->input_tls -= size;
      if (const auto other = side->other.lock()) other->changed.notify_all();
      co_return size;
    }
    if (side->input_tls) {
      error = error_of(boost::system::errc::protocol_error);  // a handshake where text was expected
    } else if (side->input_ended) {
      error = boost::asio::error::eof;
    } else {
      error = co_await wait(side);
    }
  }
}

Task<Result<void>> write(std::shared_ptr<Side> side,
                         std::vector<boost::asio::const_buffer> pieces) {
  auto error = side->begin();
  for (const auto& piece : pieces) {
    std::string_view rest(static_cast<const char*>(piece.data()), piece.size());
    while (!rest.empty() && !error) {
      const auto other = side->other.lock();
      if (!other || other->closed) {
        error = error_of(boost::system::errc::broken_pipe);
        break;
      }
      const auto room = other->capacity - std::min(other->capacity, other->input.size());
      if (room == 0) {
        error = co_await wait(side);
        continue;
      }
      other->input += rest.substr(0, room);
      rest.remove_prefix(std::min(room, rest.size()));
      other->changed.notify_all();
    }
    if (error) break;
  }
  if (error) {
    side->fail(error);
    co_return error;
  }
  co_return Result<void>();
}

Task<Result<TlsInfo>> handshake(std::shared_ptr<Side> side, TlsCall call) {
  side->tls = std::move(call);
  auto error = side->begin();
  if (!error && side->tls_result.has_error()) {
    side->reset_other();
    error = side->tls_result.error();
  }
  const auto other = side->other.lock();
  if (!error && other) {
    other->input_tls = other->input.size();
    other->changed.notify_all();
  }
  while (!error && !side->input_tls) {
    error = side->input_ended ? ErrorCode(boost::asio::error::eof) : co_await wait(side);
  }
  if (!error && *side->input_tls > 0) {
    error = error_of(boost::system::errc::protocol_error);
    side->reset_other();
  }
  if (error) {
    side->fail(error);
    co_return error;
  }
  side->input_tls.reset();
  co_return side->tls_result;
}

}  // namespace

Task<Result<std::size_t>> MemoryStream::read_some(std::span<char> buffer) {
  return read(side_, buffer);
}

Task<Result<void>> MemoryStream::write(std::vector<boost::asio::const_buffer> pieces) {
  return fake::write(side_, std::move(pieces));
}

void MemoryStream::set_deadline(SteadyTime deadline) {
  side_->deadline = deadline;
  if (side_->waiting > 0) {
    if (side_->timer) side_->timer->cancel();
    side_->arm();
  }
}

Task<Result<TlsInfo>> MemoryStream::start_tls(TlsContext&, bool as_server,
                                              std::string server_name) {
  return handshake(side_, TlsCall{as_server, std::move(server_name)});
}

bool MemoryStream::has_input() {
  return !side_->input.empty() || side_->input_tls || side_->input_ended || side_->failure;
}

void MemoryStream::close() {
  if (side_->closed) return;
  side_->closed = true;
  if (side_->timer) side_->timer->cancel();
  side_->changed.notify_all();
  if (const auto other = side_->other.lock()) {
    other->input_ended = true;
    other->changed.notify_all();
  }
}

Endpoint MemoryStream::local() const { return side_->local; }

Endpoint MemoryStream::peer() const { return side_->peer; }

void MemoryStream::reset() {
  side_->reset_other();
  close();
}

void MemoryStream::fail_after(std::size_t operations, ErrorCode error) {
  side_->fail_at = side_->operations + operations;
  side_->fail_error = error;
}

void MemoryStream::set_tls_result(Result<TlsInfo> result) { side_->tls_result = std::move(result); }

const std::optional<TlsCall>& MemoryStream::tls() const { return side_->tls; }

std::size_t MemoryStream::operations() const { return side_->operations; }

bool MemoryStream::closed() const { return side_->closed; }

MemoryStreamPair make_stream_pair(boost::asio::any_io_executor first,
                                  boost::asio::any_io_executor second,
                                  MemoryStreamOptions options) {
  const auto one = std::make_shared<Side>(std::move(first), options);
  const auto two = std::make_shared<Side>(std::move(second), options);
  one->other = two;
  two->other = one;
  one->local = two->peer = options.first;
  two->local = one->peer = options.second;
  MemoryStreamPair pair;
  pair.first = std::make_unique<MemoryStream>(one);
  pair.second = std::make_unique<MemoryStream>(two);
  return pair;
}

MemoryStreamPair make_stream_pair(boost::asio::any_io_executor executor,
                                  MemoryStreamOptions options) {
  return make_stream_pair(executor, executor, std::move(options));
}

}  // namespace mansio::fake
