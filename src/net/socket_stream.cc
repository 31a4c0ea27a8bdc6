#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>

#include "base/assert.h"
#include "net/connection.h"
#include "net/tls.h"

namespace mansio::net {
namespace {

using Shared = std::shared_ptr<Connection>;

constexpr std::size_t kPiecesMax = 64;                     // per system call; IOV_MAX is 1024
constexpr std::size_t kTlsRecord = std::size_t{16} << 10;  // RFC 8446 §5.1

ErrorCode system_error(int number) { return {number, boost::system::system_category()}; }

bool would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

ErrorCode refused(const Connection& connection) {
  if (connection.closed) return boost::asio::error::operation_aborted;
  if (connection.expired) return boost::asio::error::timed_out;
  return {};
}

TlsProgress nothing_yet() {
  TlsProgress progress;
  progress.error = boost::asio::error::would_block;
  return progress;
}

/// One attempt that does not wait.
TlsProgress receive(Connection& connection, std::span<char> buffer) {
  if (connection.ssl) return tls_read(connection, buffer);
  TlsProgress progress;
  ssize_t got = 0;
  do {
    got = ::recv(connection.socket.native_handle(), buffer.data(), buffer.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    progress.octets = static_cast<std::size_t>(got);
  } else if (got == 0) {
    progress.error = boost::asio::error::eof;
  } else {
    if (would_block(errno)) return nothing_yet();
    progress.error = system_error(errno);
  }
  return progress;
}

Task<Result<std::size_t>> read(Shared connection, std::span<char> buffer) {
  MANSIO_ASSERT(!buffer.empty());
  if (const auto error = refused(*connection)) co_return connection->fail(error);
  // Where the last read left nothing, most likely nothing has come since.
  TlsProgress progress = connection->drained ? nothing_yet() : receive(*connection, buffer);
  while (progress.error == boost::asio::error::would_block) {
    if (connection->ssl) {
      progress.error = co_await Connection::wait(connection, progress.wait_for);
      if (!progress.error) progress = receive(*connection, buffer);
    } else {
      // To wait first and to read then would arm the socket anew, by a system call each time.
      progress.error = co_await Connection::receive(connection, buffer, progress.octets);
    }
  }
  if (progress.error) {
    // The end is no failure: close() may still say goodbye.
    co_return progress.error == boost::asio::error::eof ? progress.error
                                                        : connection->fail(progress.error);
  }
  // What TLS holds back does not show on the socket.
  connection->drained = !connection->ssl && progress.octets < buffer.size();
  if (connection->ran_long()) co_await Connection::share_the_loop(connection);
  co_return progress.octets;
}

/// What is left to write of a list of pieces.
class Remaining {
 public:
  explicit Remaining(std::vector<boost::asio::const_buffer> pieces) : pieces_(std::move(pieces)) {
    skip_empty();
  }

  bool empty() const { return next_ == pieces_.size(); }

  void advance(std::size_t octets) {
    while (octets > 0) {
      auto& piece = pieces_[next_];
      const auto part = std::min(octets, piece.size());
      piece += part;
      octets -= part;
      skip_empty();
    }
  }

  std::size_t gather(std::array<iovec, kPiecesMax>& vectors) const {
    std::size_t count = 0;
    for (auto i = next_; i < pieces_.size() && count < vectors.size(); ++i) {
      if (pieces_[i].size() == 0) continue;
      vectors.at(count++) = iovec{const_cast<void*>(pieces_[i].data()), pieces_[i].size()};
    }
    return count;
  }

  /// A contiguous run from the front: the piece itself if it fills a TLS record, else small pieces
  /// put together, so that a command and a message do not go out as two records.
  std::string_view run(std::string& scratch) const {
    const auto& first = pieces_[next_];
    if (first.size() >= kTlsRecord || next_ + 1 == pieces_.size()) {
      return {static_cast<const char*>(first.data()), first.size()};
    }
    scratch.clear();
    for (auto i = next_; i < pieces_.size() && scratch.size() < kTlsRecord; ++i) {
      const auto part = std::min(pieces_[i].size(), kTlsRecord - scratch.size());
      scratch.append(static_cast<const char*>(pieces_[i].data()), part);
    }
    return scratch;
  }

 private:
  void skip_empty() {
    while (next_ < pieces_.size() && pieces_[next_].size() == 0) ++next_;
  }

  std::vector<boost::asio::const_buffer> pieces_;
  std::size_t next_ = 0;
};

/// One attempt that does not wait.
TlsProgress send(Connection& connection, const Remaining& rest, std::string& scratch) {
  if (connection.ssl) return tls_write(connection, rest.run(scratch));
  std::array<iovec, kPiecesMax> vectors;
  msghdr header{};
  header.msg_iov = vectors.data();
  header.msg_iovlen = rest.gather(vectors);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(connection.socket.native_handle(), &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  TlsProgress progress;
  progress.wait_for = Socket::wait_write;
  if (sent >= 0) {
    progress.octets = static_cast<std::size_t>(sent);
  } else {
    progress.error =
        would_block(errno) ? ErrorCode(boost::asio::error::would_block) : system_error(errno);
  }
  return progress;
}

Task<Result<void>> write(Shared connection, std::vector<boost::asio::const_buffer> pieces) {
  Remaining rest(std::move(pieces));
  std::string scratch;
  while (!rest.empty()) {
    if (const auto error = refused(*connection)) co_return connection->fail(error);
    const auto progress = send(*connection, rest, scratch);
    if (!progress.error) {
      rest.advance(progress.octets);
      continue;
    }
    auto error = progress.error;
    if (error == boost::asio::error::would_block) {
      error = co_await Connection::wait(connection, progress.wait_for);
    }
    if (error) co_return connection->fail(error);
  }
  if (connection->ran_long()) co_await Connection::share_the_loop(connection);
  co_return Result<void>();
}

class SocketStream final : public Stream {
 public:
  explicit SocketStream(Shared connection) : connection_(std::move(connection)) {}

  ~SocketStream() override { connection_->close(); }

  Task<Result<std::size_t>> read_some(std::span<char> buffer) override {
    return read(connection_, buffer);
  }

  Task<Result<void>> write(std::vector<boost::asio::const_buffer> pieces) override {
    return net::write(connection_, std::move(pieces));
  }

  void set_deadline(SteadyTime deadline) override {
    connection_->deadline = deadline;
    // Operations under way get the new deadline too.
    if (connection_->waiting > 0 && connection_->arm()) {
      ErrorCode ignored;
      connection_->socket.cancel(ignored);
    }
  }

  Task<Result<TlsInfo>> start_tls(TlsContext& context, bool as_server,
                                  std::string server_name) override {
    MANSIO_ASSERT(!connection_->ssl);
    connection_->drained = false;
    return handshake(connection_, context, as_server, std::move(server_name));
  }

  bool has_input() override {
    if (connection_->closed || connection_->failed) return true;
    if (connection_->ssl) return tls_has_input(*connection_);
    char octet = 0;
    const auto got =
        ::recv(connection_->socket.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || !would_block(errno);
  }

  void close() override { connection_->close(); }

  Endpoint local() const override { return connection_->local; }

  Endpoint peer() const override { return connection_->peer; }

  std::optional<PeerCredentials> peer_credentials() const override {
    if (connection_->closed || !connection_->local.is_unix()) return std::nullopt;
    ucred found{};
    socklen_t size = sizeof(found);
    if (::getsockopt(connection_->socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &found, &size) !=
        0) {
      return std::nullopt;
    }
    PeerCredentials credentials;
    credentials.user = found.uid;
    credentials.group = found.gid;
    credentials.process = found.pid;
    return credentials;
  }

 private:
  Shared connection_;
};

}  // namespace

std::unique_ptr<Stream> make_socket_stream(Shared connection) {
  ErrorCode ignored;
  connection->socket.non_blocking(true, ignored);
  name_ends(*connection);
  if (!connection->local.is_unix()) {
    const int on = 1;
    ::setsockopt(connection->socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  return std::make_unique<SocketStream>(std::move(connection));
}

}  // namespace mansio::net
