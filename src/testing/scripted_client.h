// The client's end of an SMTP dialogue, for tests of servers. Throws ScriptError (with the dialogue
// so far) when the server says something else than expected; run() hands that to the test.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "base/stream.h"
#include "testing/line_reader.h"

namespace mansio::fake {

class ScriptError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class ScriptedClient {
 public:
  explicit ScriptedClient(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  /// Octets as they are.
  Task<void> send(std::string octets);
  /// One reply, all its lines with CRLF. Throws at the end of the stream.
  Task<std::string> reply();
  /// Sends `line` and CRLF, gives the reply.
  Task<std::string> command(std::string line);
  /// Reads a reply that must start with `prefix` ("250", "550 5.1.1"); gives it.
  Task<std::string> expect(std::string prefix);
  /// command() whose reply must start with `prefix`.
  Task<std::string> command(std::string line, std::string prefix);
  /// Completes when the server closes; throws if it says something before.
  Task<void> expect_end();
  Task<TlsInfo> start_tls(TlsContext& context, std::string server_name);

  Stream& stream() { return *stream_; }

  void close() { stream_->close(); }

  /// "C: ..." and "S: ..." lines.
  const std::string& dialogue() const { return dialogue_; }

 private:
  std::unique_ptr<Stream> stream_;
  LineReader reader_;
  std::string dialogue_;
};

}  // namespace mansio::fake
