#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <csignal>
#include <mutex>
#include <stdexcept>

#include "base/log.h"
#include "net/net.h"

namespace mansio::net {
namespace {

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext(std::unique_ptr<SSL_CTX, ContextDeleter> context, bool verify)
      : context_(std::move(context)), verify_(verify) {}

  SSL_CTX* get() const { return context_.get(); }

  bool verify() const { return verify_; }

 private:
  std::unique_ptr<SSL_CTX, ContextDeleter> context_;
  bool verify_;
};

std::string last_reason() {
  const auto code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

[[noreturn]] void refuse_file(const std::string& file, const char* what) {
  const auto reason = last_reason();
  ERR_clear_error();
  throw std::runtime_error(file + ": " + what + ": " + reason);
}

ErrorCode to_error(unsigned long code) {
  return ErrorCode(static_cast<int>(code), boost::asio::error::get_ssl_category());
}

/// What the failed call `result` on the connection means; the error queue was empty before it.
TlsProgress trouble(Connection& connection, int result) {
  const int system_error = errno;
  TlsProgress progress;
  switch (SSL_get_error(connection.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      progress.error = boost::asio::error::would_block;
      progress.wait_for = Socket::wait_read;
      return progress;
    case SSL_ERROR_WANT_WRITE:
      progress.error = boost::asio::error::would_block;
      progress.wait_for = Socket::wait_write;
      return progress;
    case SSL_ERROR_ZERO_RETURN:
      progress.error = boost::asio::error::eof;
      return progress;
    case SSL_ERROR_SYSCALL:
      progress.error = system_error == 0
                           ? ErrorCode(boost::asio::error::eof)
                           : ErrorCode(system_error, boost::system::system_category());
      break;
    default: {
      const auto code = ERR_get_error();
      progress.error = code == 0 ? ErrorCode(boost::asio::error::eof) : to_error(code);
    }
  }
  ERR_clear_error();
  connection.failed = true;  // no close_notify after a fatal error (SSL_shutdown(3))
  return progress;
}

void prepare_call() {
  ERR_clear_error();
  errno = 0;
}

/// SNI (RFC 6066 §3 forbids addresses there) and the name that the certificate must show.
void expect_name(SSL* ssl, const std::string& name) {
  if (name.empty()) return;
  ErrorCode not_an_address;
  boost::asio::ip::make_address(name, not_an_address);
  if (not_an_address) {
    SSL_set_tlsext_host_name(ssl, name.c_str());
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  }
}

TlsInfo describe(SSL* ssl, bool name_was_checked) {
  TlsInfo info;
  info.version = SSL_get_version(ssl);
  info.cipher = SSL_get_cipher_name(ssl);
  X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return info;
  if (char* subject = X509_NAME_oneline(X509_get_subject_name(certificate), nullptr, 0)) {
    info.peer_subject = subject;
    OPENSSL_free(subject);
  }
  info.verified = name_was_checked && SSL_get_verify_result(ssl) == X509_V_OK;
  return info;
}

void log_failure(const Connection& connection, bool as_server, const ErrorCode& error) {
  const auto verified = SSL_get_verify_result(connection.ssl.get());
  log::info("handshake_failed")
      .field("peer", connection.peer.to_string())
      .field("role", as_server ? "server" : "client")
      .field("error", error.message())
      .field("certificate", verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

}  // namespace

std::shared_ptr<TlsContext> make_tls_context(const TlsOptions& options) {
  // OpenSSL writes with write(2), which has no MSG_NOSIGNAL: a peer that left must not end us.
  static std::once_flag once;
  std::call_once(once, [] { std::signal(SIGPIPE, SIG_IGN); });

  std::unique_ptr<SSL_CTX, ContextDeleter> context(SSL_CTX_new(TLS_method()));
  if (!context) throw std::runtime_error("OpenSSL: " + last_reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // SMTP frames its own ends, and many servers close without close_notify: that is an end, not an
  // error.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  ERR_clear_error();

  if (!options.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1) {
      refuse_file(options.certificate, "cannot use as certificate");
    }
    const auto& key = options.key.empty() ? options.certificate : options.key;
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
      refuse_file(key, "cannot use as private key");
    }
    if (SSL_CTX_check_private_key(context.get()) != 1) {
      refuse_file(key, "does not belong to the certificate");
    }
  }
  if (!options.ca_file.empty()) {
    if (SSL_CTX_load_verify_file(context.get(), options.ca_file.c_str()) != 1) {
      refuse_file(options.ca_file, "cannot use as certificate authorities");
    }
  } else {
    SSL_CTX_set_default_verify_paths(context.get());
  }
  return std::make_shared<OpenSslContext>(std::move(context), options.verify);
}

Task<Result<TlsInfo>> handshake(std::shared_ptr<Connection> connection, TlsContext& context,
                                bool as_server, std::string server_name) {
  auto& ours = dynamic_cast<OpenSslContext&>(context);
  connection->ssl.reset(SSL_new(ours.get()));
  SSL* ssl = connection->ssl.get();
  if (ssl == nullptr || SSL_set_fd(ssl, connection->socket.native_handle()) != 1) {
    co_return connection->fail(boost::asio::error::no_memory);
  }
  if (as_server) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_verify(ssl, ours.verify() ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    expect_name(ssl, server_name);
    SSL_set_connect_state(ssl);
  }
  for (;;) {
    prepare_call();
    const int result = SSL_do_handshake(ssl);
    if (result == 1) break;
    const auto progress = trouble(*connection, result);
    auto error = progress.error;
    if (error == boost::asio::error::would_block) {
      error = co_await Connection::wait(connection, progress.wait_for);
    }
    if (error) {
      log_failure(*connection, as_server, error);
      co_return connection->fail(error);
    }
  }
  co_return describe(ssl, !as_server && !server_name.empty());
}

TlsProgress tls_read(Connection& connection, std::span<char> buffer) {
  prepare_call();
  TlsProgress progress;
  const int result =
      SSL_read_ex(connection.ssl.get(), buffer.data(), buffer.size(), &progress.octets);
  return result == 1 ? progress : trouble(connection, result);
}

TlsProgress tls_write(Connection& connection, std::string_view octets) {
  prepare_call();
  TlsProgress progress;
  const int result =
      SSL_write_ex(connection.ssl.get(), octets.data(), octets.size(), &progress.octets);
  return result == 1 ? progress : trouble(connection, result);
}

bool tls_has_input(Connection& connection) {
  // Peeking takes in what is not for us, such as the session tickets of TLS 1.3.
  prepare_call();
  char octet = 0;
  std::size_t octets = 0;
  const int result = SSL_peek_ex(connection.ssl.get(), &octet, 1, &octets);
  if (result == 1) return true;
  return trouble(connection, result).error != boost::asio::error::would_block;
}

}  // namespace mansio::net
