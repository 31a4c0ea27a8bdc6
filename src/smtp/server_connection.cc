// The octets of a connection in both directions, and the time that everything may take.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstring>

#include "base/assert.h"
#include "base/text.h"
#include "smtp/server_replies.h"
#include "smtp/server_session.h"

namespace mansio::smtp {
namespace {

namespace asio = boost::asio;

/// An overlong command line is skipped up to here, then the connection ends.
constexpr std::uint64_t discard_octets_max = 1 << 20;
constexpr Duration farewell_time = std::chrono::seconds(5);
constexpr Duration backstop = std::chrono::seconds(30);

}  // namespace

// ---- replies ------------------------------------------------------------------------------------

void ServerSession::reply(const Reply& reply, bool counts) {
  append_reply(output_, reply, utf8_replies_);
  if (!reply.temporary() && !reply.permanent()) return;
  report_.last_error = reply.to_string();
  if (!reply.permanent() || !counts) return;
  ++report_.errors;
  ++errors_;
  ++unpaid_errors_;
}

void ServerSession::end(const char* cause) {
  over_ = true;
  if (report_.cause.empty()) report_.cause = cause;
}

void ServerSession::end_with(const Reply& last, const char* cause) {
  reply(last, false);
  end(cause);
}

void ServerSession::refuse(std::uint16_t code, EnhancedCode enhanced, const char* text) {
  reply({code, enhanced, text});
}

void ServerSession::end_with(std::uint16_t code, EnhancedCode enhanced, const char* text,
                             const char* cause) {
  end_with({code, enhanced, text}, cause);
}

Task<void> ServerSession::flush() {
  if (output_.empty()) co_return;
  wait_for(Wait::write, clock_.steady_now() + limits_.command);
  std::vector<asio::const_buffer> pieces{asio::buffer(output_)};
  const Result<void> written = co_await stream_->write(std::move(pieces));
  wait_ = Wait::none;
  output_.clear();
  if (!written) end("closed by peer");
}

/// Slows a client down that makes errors, then ends it (robust against harvesting of addresses).
Task<void> ServerSession::settle_errors() {
  if (errors_ >= limits_.errors_hard) {
    end_with(421, {4, 7, 0}, "Too many errors", "too many errors");
    co_return;
  }
  if (unpaid_errors_ == 0) co_return;
  const bool slow = errors_ >= limits_.errors_soft;
  unpaid_errors_ = 0;
  if (!slow) co_return;
  // The reply itself waits too: it is still in output_.
  wait_ = Wait::none;
  co_await sleep_for(clock_, limits_.error_delay);
}

// ---- time ---------------------------------------------------------------------------------------

void ServerSession::wait_for(Wait wait, SteadyTime deadline) {
  wait_ = wait;
  deadline_ = deadline;
  stream_->set_deadline(deadline + backstop);
  // A timer that is set earlier is left alone: it looks again when it fires. So most commands cost
  // no timer operation at all.
  if (armed_ == SteadyTime{} || deadline < armed_) arm(deadline);
}

void ServerSession::arm(SteadyTime when) {
  armed_ = when;
  watchdog_->start(when, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->time_is_over();
  });
}

void ServerSession::time_is_over() {
  armed_ = {};
  if (wait_ == Wait::none || parting_) return;
  if (clock_.steady_now() < deadline_) {
    arm(deadline_);
    return;
  }
  switch (wait_) {
    case Wait::none:
      break;
    case Wait::write:
      end("peer does not read");
      stream_->close();
      return;
    case Wait::idle:
      part("idle", "421 4.4.2 Idle for too long\r\n");
      break;
    case Wait::command:
      part("slow command",
           "421 4.4.2 Command not complete within " + to_text(limits_.command) + "\r\n");
      break;
    case Wait::data_rate:
      part("slow data", "421 4.4.2 Data comes too slowly\r\n");
      break;
    case Wait::message:
      part("message time", "421 4.4.2 Message takes too long\r\n");
      break;
  }
}

/// Ends a connection while a read is pending.
void ServerSession::part(const char* cause, std::string line) {
  end(cause);
  parting_ = true;
  asio::co_spawn(executor_, farewell(shared_from_this(), std::move(line)), asio::detached);
}

void ServerSession::stop_if_waiting() {
  const bool waits = wait_ == Wait::idle || wait_ == Wait::command;
  if (!waits || parting_ || over_) return;
  part("shutdown", std::string(shutdown_line));
}

/// Runs beside the pending read, which ends when the stream is closed here.
Task<void> ServerSession::farewell(std::shared_ptr<ServerSession> self, std::string line) {
  self->stream_->set_deadline(self->clock_.steady_now() + farewell_time);
  self->report_.last_error = std::string(trim(line));
  std::vector<asio::const_buffer> pieces{asio::buffer(line)};
  const Result<void> written = co_await self->stream_->write(std::move(pieces));
  static_cast<void>(written);  // it is closed either way
  self->stream_->close();
}

// ---- input --------------------------------------------------------------------------------------

/// Reads more. False: the connection is over. REQUIRES: a wait was set, and room in the buffer.
Task<bool> ServerSession::fill() {
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, buffered());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  MANSIO_ASSERT(input_end_ < input_.size());
  const std::span<char> room(input_.data() + input_end_, input_.size() - input_end_);
  const Result<std::size_t> read = co_await stream_->read_some(room);
  wait_ = Wait::none;
  if (!read || over_) {
    end("closed by peer");
    co_return false;
  }
  input_end_ += *read;
  co_return true;
}

/// The next line without its line end, if it is there; it stays valid until the next read. Given
/// for `complete` and `bare_newline`, and for `too_long` as far as it was read. The first `seen`
/// octets are known to hold no line end.
ServerSession::Line ServerSession::take_line(std::string_view& line, std::size_t seen) {
  const std::string_view text = buffer();
  const auto newline = text.find('\n', seen);
  if (newline == std::string_view::npos) return Line::incomplete;
  input_begin_ += newline + 1;
  line = text.substr(0, newline);
  if (newline + 1 > limits_.command_line) return Line::too_long;
  if (newline == 0 || text[newline - 1] != '\r') return Line::bare_newline;
  line.remove_suffix(1);
  return Line::complete;
}

/// The same, and waits for it.
Task<ServerSession::Line> ServerSession::read_line(std::string_view& line) {
  std::size_t seen = 0;
  SteadyTime first_octet{};
  while (true) {
    const Line taken = take_line(line, seen);
    if (taken != Line::incomplete) co_return taken;
    const std::string_view text = buffer();
    seen = text.size();
    if (text.size() >= limits_.command_line) {
      if (announces_octets(text)) {
        end_with(line_too_long(), "BDAT");
        co_return Line::ended;
      }
      co_return co_await discard_line();
    }
    if (!output_.empty()) co_await flush();
    if (over_) co_return Line::ended;
    const SteadyTime now = clock_.steady_now();
    if (text.empty()) {
      if (handler_->stopping()) {
        say(shutdown_line);
        end("shutdown");
        co_return Line::ended;
      }
      const bool stress = handler_->under_stress();
      wait_for(Wait::idle, now + (stress ? limits_.idle_under_stress : limits_.idle));
    } else {
      if (first_octet == SteadyTime{}) first_octet = now;
      wait_for(Wait::command, first_octet + limits_.command);
    }
    if (!co_await fill()) co_return Line::ended;
    if (report_.commands == 0 && first_octets_are_foreign()) {
      end_with(foreign_protocol(), "foreign protocol");
      co_return Line::ended;
    }
  }
}

/// The line is too long already: skips to its end in constant memory.
Task<ServerSession::Line> ServerSession::discard_line() {
  const SteadyTime until = clock_.steady_now() + limits_.command;
  std::uint64_t skipped = 0;
  while (true) {
    const auto newline = buffer().find('\n');
    if (newline != std::string_view::npos) {
      input_begin_ += newline + 1;
      co_return Line::too_long;
    }
    skipped += buffered();
    input_begin_ = input_end_ = 0;
    if (skipped > discard_octets_max) {
      end_with(line_too_long(), "endless line");
      co_return Line::ended;
    }
    co_await flush();
    if (over_) co_return Line::ended;
    wait_for(Wait::command, until);
    if (!co_await fill()) co_return Line::ended;
  }
}

/// No mail client begins with such an octet; a TLS hello or another binary protocol does.
bool ServerSession::first_octets_are_foreign() const {
  if (buffered() == 0) return false;
  const auto first = static_cast<unsigned char>(buffer().front());
  return (first < ' ' && first != '\r' && first != '\n' && first != '\0') || first >= 0x7f;
}

}  // namespace mansio::smtp
