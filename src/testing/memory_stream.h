// A connected pair of streams in memory, with what a network can do to them.
// Thread safety: none; both ends run on one thread (of one or two executors).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/stream.h"

namespace mansio::fake {

struct MemoryStreamOptions {
  Clock* clock = nullptr;           ///< drives deadlines; null: none expires
  std::size_t read_chunk = 0;       ///< octets that one read gives at most; 0: all there are
  std::size_t capacity = 1u << 20;  ///< octets in flight per direction; a writer waits beyond it
  Endpoint first{"192.0.2.1", 40000};
  Endpoint second{"192.0.2.2", 25};
};

/// What start_tls was called with.
struct TlsCall {
  bool as_server = false;
  std::string server_name;
};

class MemoryTlsContext final : public TlsContext {};

class MemoryStream final : public Stream {
 public:
  struct Side;  // shared by the object and its pending operations

  explicit MemoryStream(std::shared_ptr<Side> side) : side_(std::move(side)) {}

  ~MemoryStream() override { MemoryStream::close(); }

  Task<Result<std::size_t>> read_some(std::span<char> buffer) override;
  Task<Result<void>> write(std::vector<boost::asio::const_buffer> pieces) override;
  void set_deadline(SteadyTime deadline) override;
  /// Waits for the peer's call. As with real TLS, plain text that the peer sent before its call
  /// and that is unread by then makes the handshake fail (protocol_error).
  Task<Result<TlsInfo>> start_tls(TlsContext& context, bool as_server,
                                  std::string server_name) override;
  bool has_input() override;
  /// The peer reads what is in flight, then eof.
  void close() override;
  Endpoint local() const override;
  Endpoint peer() const override;

  // What tests do to it.

  /// The peer's reads and writes fail with connection_reset, what was in flight is lost.
  void reset();
  /// After `operations` further reads, writes and handshakes the next fails with `error`, and the
  /// peer sees a reset.
  void fail_after(std::size_t operations, ErrorCode error = boost::system::errc::make_error_code(
                                              boost::system::errc::connection_reset));
  /// What this side's handshake gives instead of TLSv1.3, verified = false.
  void set_tls_result(Result<TlsInfo> result);
  const std::optional<TlsCall>& tls() const;
  /// Reads, writes and handshakes so far.
  std::size_t operations() const;
  /// True once this side has been closed or reset by its owner.
  bool closed() const;

 private:
  std::shared_ptr<Side> side_;
};

struct MemoryStreamPair {
  std::unique_ptr<MemoryStream> first;
  std::unique_ptr<MemoryStream> second;
};

MemoryStreamPair make_stream_pair(boost::asio::any_io_executor first,
                                  boost::asio::any_io_executor second,
                                  MemoryStreamOptions options = {});

/// Both ends on one executor.
MemoryStreamPair make_stream_pair(boost::asio::any_io_executor executor,
                                  MemoryStreamOptions options = {});

}  // namespace mansio::fake
