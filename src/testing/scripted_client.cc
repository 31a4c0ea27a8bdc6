#include "testing/scripted_client.h"

#include "base/text.h"

namespace mansio::fake {

Task<void> ScriptedClient::send(std::string octets) {
  dialogue_ += "C: " + escape(octets.substr(0, 200)) + "\n";
  std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(octets)};
  const auto sent = co_await stream_->write(std::move(pieces));
  if (sent.has_error()) throw ScriptError(dialogue_ + "write: " + sent.error().message());
}

Task<std::string> ScriptedClient::reply() {
  std::string text;
  for (;;) {
    const auto line = co_await reader_.read_line(*stream_);
    if (line.has_error()) throw ScriptError(dialogue_ + "read: " + line.error().message());
    dialogue_ += "S: " + escape(*line) + "\n";
    text += *line + "\r\n";
    if (line->size() < 4 || (*line)[3] != '-') co_return text;
  }
}

Task<std::string> ScriptedClient::command(std::string line) {
  co_await send(line + "\r\n");
  co_return co_await reply();
}

Task<std::string> ScriptedClient::expect(std::string prefix) {
  auto text = co_await reply();
  if (!text.starts_with(prefix)) throw ScriptError(dialogue_ + "expected " + prefix);
  co_return text;
}

Task<std::string> ScriptedClient::command(std::string line, std::string prefix) {
  co_await send(line + "\r\n");
  co_return co_await expect(std::move(prefix));
}

Task<void> ScriptedClient::expect_end() {
  const auto line = co_await reader_.read_line(*stream_);
  if (line.has_value()) throw ScriptError(dialogue_ + "expected the end, got " + *line);
}

Task<TlsInfo> ScriptedClient::start_tls(TlsContext& context, std::string server_name) {
  auto tls = co_await stream_->start_tls(context, false, std::move(server_name));
  if (tls.has_error()) throw ScriptError(dialogue_ + "handshake: " + tls.error().message());
  co_return std::move(*tls);
}

}  // namespace mansio::fake
