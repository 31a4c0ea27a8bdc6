#include "delivery/trace.h"

#include <boost/asio/error.hpp>
#include <utility>

#include "base/text.h"

namespace mansio::delivery {
namespace {

constexpr std::size_t line_max = 1000;

/// A line as a terminal may show it.
std::string shown(std::string_view line) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : line) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x20 && octet != 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[octet >> 4];
      out += digits[octet & 0xf];
    }
    if (out.size() >= line_max) return out.substr(0, line_max);
  }
  return out;
}

std::string octets_of(std::uint64_t count, const char* what) {
  return "(" + std::to_string(count) + " octets" + what + ")";
}

/// Cuts a stream of octets into lines of at most a little more than is shown.
class Lines {
 public:
  /// Takes octets up to the end of a line; gives the line once it is whole.
  std::optional<std::string> take(std::string_view& octets) {
    const std::size_t end = octets.find('\n');
    const std::string_view part = octets.substr(0, end);
    if (line_.size() <= line_max) line_.append(part.substr(0, line_max + 2));
    length_ += part.size();
    octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 1);
    if (end == std::string_view::npos) return std::nullopt;
    if (line_.ends_with('\r')) line_.pop_back();
    octets_ = std::exchange(length_, 0);
    return std::exchange(line_, {});
  }

  /// Of the line given last, its CR included.
  std::uint64_t octets() const { return octets_; }

  void clear() {
    line_.clear();
    length_ = 0;
  }

 private:
  std::string line_;
  std::uint64_t length_ = 0, octets_ = 0;
};

/// Follows both directions of an SMTP dialogue, as far as it takes to tell commands from secrets
/// and content.
class Dialogue {
 public:
  Dialogue(std::shared_ptr<Trace> trace, Clock& clock) : trace_(std::move(trace)), clock_(clock) {}

  void ours(std::string_view octets) {
    while (!octets.empty()) {
      if (in_content_) {
        content(octets);
      } else if (chunk_left_ != 0) {
        const auto part = std::min<std::uint64_t>(chunk_left_, octets.size());
        octets.remove_prefix(static_cast<std::size_t>(part));
        chunk_left_ -= part;
      } else if (const auto line = our_lines_.take(octets)) {
        command(*line);
      }
    }
  }

  void theirs(std::string_view octets) {
    while (!octets.empty()) {
      const auto line = their_lines_.take(octets);
      if (!line) return;
      add(TraceLine::Side::them, shown(*line));
      // 334 asks for a secret, 354 for the content; anything else ends what AUTH began. A line that
      // goes on ("250-") decides nothing.
      if (line->size() >= 4 && (*line)[3] == '-') continue;
      if (line->starts_with("354")) {
        in_content_ = true;
        matched_ = 2;  // the content begins at the start of a line
        content_octets_ = 0;
      } else if (!line->starts_with("334")) {
        in_auth_ = false;
      }
    }
  }

  void note(std::string text) { add(TraceLine::Side::note, shown(text)); }

  /// What came before is of no meaning to what comes now.
  void restart() {
    our_lines_.clear();
    their_lines_.clear();
  }

 private:
  void add(TraceLine::Side side, std::string text) {
    trace_->add({clock_.now(), side, std::move(text)});
  }

  void command(const std::string& line) {
    const std::vector<std::string_view> words = split(line, ' ');
    if (in_auth_) {
      add(TraceLine::Side::us, octets_of(our_lines_.octets(), ", a secret"));
      return;
    }
    if (equals_ignoring_case(words[0], "AUTH")) {
      in_auth_ = true;
      std::string text = "AUTH";
      if (words.size() > 1) text += " " + shown(words[1]);
      if (words.size() > 2) {
        text += " " + octets_of(line.size() - words[0].size() - words[1].size() - 2, ", a secret");
      }
      add(TraceLine::Side::us, std::move(text));
      return;
    }
    add(TraceLine::Side::us, shown(line));
    if (equals_ignoring_case(words[0], "BDAT") && words.size() > 1) {
      chunk_left_ = parse_decimal(words[1]).value_or(0);
      if (chunk_left_ != 0) add(TraceLine::Side::us, octets_of(chunk_left_, " of content"));
    }
  }

  /// Looks for CR LF dot CR LF, whose first CR LF is the end of the last line.
  void content(std::string_view& octets) {
    static constexpr std::string_view end = "\r\n.\r\n";
    std::size_t used = 0;
    while (used < octets.size() && matched_ < end.size()) {
      const char c = octets[used++];
      ++content_octets_;
      matched_ = c == end[matched_] ? matched_ + 1 : c == '\r' ? 1 : 0;
    }
    octets.remove_prefix(used);
    if (matched_ < end.size()) return;
    in_content_ = false;
    add(TraceLine::Side::us, octets_of(content_octets_ - 3, " of content"));
    add(TraceLine::Side::us, ".");
  }

  const std::shared_ptr<Trace> trace_;
  Clock& clock_;
  Lines our_lines_, their_lines_;
  bool in_auth_ = false;
  bool in_content_ = false;
  std::size_t matched_ = 0;  // of the end of the content
  std::uint64_t content_octets_ = 0;
  std::uint64_t chunk_left_ = 0;
};

class TracedStream final : public Stream {
 public:
  TracedStream(std::unique_ptr<Stream> stream, std::shared_ptr<Trace> trace, Clock& clock)
      : stream_(std::move(stream)), dialogue_(std::move(trace), clock) {
    dialogue_.note("connected from " + stream_->local().to_string() + " to " +
                   stream_->peer().to_string());
  }

  ~TracedStream() override { say_closed(); }

  Task<Result<std::size_t>> read_some(std::span<char> buffer) override {
    auto reading = stream_->read_some(buffer);
    Result<std::size_t> read = co_await std::move(reading);
    if (read) {
      dialogue_.theirs(std::string_view(buffer.data(), *read));
    } else {
      failed(read.error());
    }
    co_return read;
  }

  Task<Result<void>> write(std::vector<boost::asio::const_buffer> pieces) override {
    // Noted before it is written: the reply may be there as soon as it is.
    for (const boost::asio::const_buffer& piece : pieces) {
      dialogue_.ours(std::string_view(static_cast<const char*>(piece.data()), piece.size()));
    }
    auto writing = stream_->write(std::move(pieces));
    Result<void> written = co_await std::move(writing);
    if (!written) failed(written.error());
    co_return written;
  }

  void set_deadline(SteadyTime deadline) override { stream_->set_deadline(deadline); }

  Task<Result<TlsInfo>> start_tls(TlsContext& context, bool as_server,
                                  std::string server_name) override {
    auto shaking = stream_->start_tls(context, as_server, std::move(server_name));
    Result<TlsInfo> tls = co_await std::move(shaking);
    dialogue_.restart();
    if (!tls) {
      dialogue_.note("TLS handshake failed: " + tls.error().message());
    } else {
      dialogue_.note("TLS: " + tls->version + " " + tls->cipher +
                     (tls->verified ? ", certificate verified" : ", certificate not verified"));
    }
    co_return tls;
  }

  bool has_input() override { return stream_->has_input(); }

  void close() override {
    say_closed();
    stream_->close();
  }

  Endpoint local() const override { return stream_->local(); }

  Endpoint peer() const override { return stream_->peer(); }

 private:
  void failed(const ErrorCode& error) {
    if (error == boost::asio::error::eof) {
      dialogue_.note("the peer closed the connection");
    } else {
      dialogue_.note("the connection failed: " + error.message());
    }
  }

  void say_closed() {
    if (!closed_) dialogue_.note("connection closed");
    closed_ = true;
  }

  std::unique_ptr<Stream> stream_;
  Dialogue dialogue_;
  bool closed_ = false;
};

}  // namespace

void Trace::add(TraceLine line) {
  if (line.text.size() > line_max) line.text.resize(line_max);
  const std::lock_guard lock(mutex_);
  if (seen_.lines.size() >= lines_max) {
    seen_.cut = true;
    return;
  }
  seen_.lines.push_back(std::move(line));
}

void Trace::set_state(State state) {
  const std::lock_guard lock(mutex_);
  seen_.state = state;
}

Trace::State Trace::state() const {
  const std::lock_guard lock(mutex_);
  return seen_.state;
}

Trace::View Trace::view(std::size_t from_line) const {
  const std::lock_guard lock(mutex_);
  View view;
  view.state = seen_.state;
  view.cut = seen_.cut;
  view.lines_total = seen_.lines.size();
  if (from_line < seen_.lines.size()) {
    view.lines.assign(seen_.lines.begin() + static_cast<std::ptrdiff_t>(from_line),
                      seen_.lines.end());
  }
  return view;
}

TraceBook::TraceBook(Clock& clock, Duration forget_after)
    : clock_(clock), forget_after_(forget_after) {}

void TraceBook::sweep() {
  const SteadyTime now = clock_.steady_now();
  std::erase_if(asked_,
                [&](const auto& item) { return item.second.read_at + forget_after_ <= now; });
}

void TraceBook::recount() {
  std::size_t waiting = 0;
  for (const auto& [number, asked] : asked_) {
    if (asked.trace->state() == Trace::State::waiting) ++waiting;
  }
  waiting_.store(waiting, std::memory_order_release);
}

std::uint64_t TraceBook::ask(std::string destination) {
  const std::lock_guard lock(mutex_);
  sweep();
  if (asked_.size() >= traces_max) return 0;
  Asked asked;
  asked.destination = to_lower(destination);
  asked.trace = std::make_shared<Trace>();
  asked.read_at = clock_.steady_now();
  asked_.emplace(++last_, std::move(asked));
  recount();
  return last_;
}

void TraceBook::forget(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  asked_.erase(number);
  recount();
}

std::shared_ptr<Trace> TraceBook::find(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  sweep();
  recount();
  const auto found = asked_.find(number);
  if (found == asked_.end()) return nullptr;
  found->second.read_at = clock_.steady_now();
  return found->second.trace;
}

std::shared_ptr<Trace> TraceBook::take(const std::string& destination) {
  if (waiting_.load(std::memory_order_acquire) == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  sweep();
  const std::string wanted = to_lower(destination);
  std::shared_ptr<Trace> taken;
  for (auto& [number, asked] : asked_) {
    if (asked.destination != wanted || asked.trace->state() != Trace::State::waiting) continue;
    asked.trace->set_state(Trace::State::running);
    Trace* const trace = asked.trace.get();
    taken = std::shared_ptr<Trace>(
        trace, [keep = asked.trace](Trace*) { keep->set_state(Trace::State::over); });
    break;
  }
  recount();
  return taken;
}

std::unique_ptr<Stream> traced(std::unique_ptr<Stream> stream, std::shared_ptr<Trace> trace,
                               Clock& clock) {
  return std::make_unique<TracedStream>(std::move(stream), std::move(trace), clock);
}

}  // namespace mansio::delivery
