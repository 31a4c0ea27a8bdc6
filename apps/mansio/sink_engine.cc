#include "mansio/sink_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <memory>
#include <mutex>
#include <thread>

#include "base/text.h"

namespace mansio::sink {

namespace {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

/// What the sessions of all threads share.
struct Shared {
  Shared(const SinkOptions& sink_options, Arrivals& all_arrivals)
      : options(sink_options),
        arrivals(all_arrivals),
        rules(sink_options.rules, sink_options.seed),
        has_rules(!rules.empty()) {}

  std::optional<Verdict> decide(Phase phase, std::string_view sender,
                                const std::vector<std::string>& recipients) {
    if (!has_rules) return std::nullopt;
    const std::lock_guard lock(rules_mutex);
    auto verdict = rules.decide(phase, sender, recipients);
    if (verdict && verdict->code != 0) ++refused;
    return verdict;
  }

  void arrived(const Arrival& arrival) {
    arrivals.add(arrival);
    const auto now = SteadyClock::now().time_since_epoch().count();
    SteadyClock::rep none = 0;
    first_arrival.compare_exchange_strong(none, now);
    none = 0;
    fresh_arrival.compare_exchange_strong(none, now);
    last_arrival = now;
    if (options.messages != 0 && ++arrived_messages == options.messages) enough();
  }

  SinkTotals totals() const {
    const SteadyClock::time_point first{SteadyClock::duration(first_arrival)};
    const SteadyClock::time_point last{SteadyClock::duration(last_arrival)};
    SinkTotals totals;
    totals.connections = connections;
    totals.refused = refused;
    totals.cut = cut;
    totals.seconds = std::chrono::duration<double>(last - first).count();
    totals.fresh_arrival =
        load::monotonic_seconds(SteadyClock::time_point{SteadyClock::duration(fresh_arrival)});
    totals.last_arrival = load::monotonic_seconds(last);
    totals.processor_seconds = load::processor_seconds() - processor_before;
    return totals;
  }

  const SinkOptions& options;
  Arrivals& arrivals;
  const double processor_before = load::processor_seconds();
  std::function<void()> enough;
  std::atomic<std::uint64_t> arrived_messages{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> cut{0};
  std::atomic<SteadyClock::rep> first_arrival{0};
  std::atomic<SteadyClock::rep> fresh_arrival{0};
  std::atomic<SteadyClock::rep> last_arrival{0};

  std::mutex rules_mutex;
  Rules rules;  ///< protected by rules_mutex
  const bool has_rules;
};

/// "FROM:<a@b> SIZE=1": what stands between the brackets. A quoted local part may hold one.
std::string path_of(std::string_view arguments) {
  const std::size_t start = arguments.find('<');
  if (start == std::string_view::npos) {
    const std::size_t colon = arguments.find(':');
    const std::string_view bare =
        colon == std::string_view::npos ? arguments : arguments.substr(colon + 1);
    return std::string(trim(bare));
  }
  bool quoted = false;
  for (std::size_t i = start + 1; i < arguments.size(); ++i) {
    if (arguments[i] == '\\' && quoted) {
      ++i;
    } else if (arguments[i] == '"') {
      quoted = !quoted;
    } else if (arguments[i] == '>' && !quoted) {
      return std::string(arguments.substr(start + 1, i - start - 1));
    }
  }
  return std::string(arguments.substr(start + 1));
}

/// One connection. Runs on: the loop of its socket. Handlers share its ownership.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Shared& shared, tcp::socket socket)
      : shared_(shared), socket_(std::move(socket)), timer_(socket_.get_executor()) {}

  void start() {
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.set_option(tcp::no_delay(true), ignored);
    answer(Phase::connect, {}, [this](const Verdict* verdict) {
      if (verdict != nullptr) {
        say(verdict->reply);
        closing_ = true;
      } else {
        say("220 " + shared_.options.hostname + (shared_.options.lmtp ? " LMTP" : " ESMTP") +
            " Mansio sink");
      }
    });
    work();
  }

 private:
  void say(std::string_view line) {
    output_ += line;
    output_ += "\r\n";
  }

  /// Asks the rules, waits as they say, then calls `go` with the verdict, or null if the usual
  /// answer is due. A 421 ends the connection.
  template <class Go>
  void answer(Phase phase, const std::vector<std::string>& recipients, Go go) {
    const auto verdict = shared_.decide(phase, sender_, recipients);
    if (!verdict) return go(nullptr);
    const auto conclude = [this, verdict = *verdict, go] {
      go(verdict.code != 0 || verdict.close_without_reply ? &verdict : nullptr);
      if (verdict.code == 421) closing_ = true;
    };
    if (verdict->delay.count() == 0) return conclude();
    paused_ = true;
    timer_.expires_after(verdict->delay);
    timer_.async_wait(
        [self = shared_from_this(), conclude](const boost::system::error_code& error) {
          if (error) return;
          self->paused_ = false;
          conclude();
          self->work();
        });
  }

  /// Handles what has been read, as far as it goes, then sends the replies and reads on.
  void work() {
    std::string_view input(input_.data() + input_start_, input_end_ - input_start_);
    while (!paused_ && !closing_ && !input.empty()) {
      const std::size_t before = input.size();
      if (in_data_) {
        data_.feed(input);
        input_start_ = input_end_ - input.size();
        if (data_.finished()) {
          end_of_data();
          continue;
        }
      } else {
        const std::size_t end = input.find('\n');
        if (end != std::string_view::npos) {
          const std::string_view line = input.substr(0, end);
          input.remove_prefix(end + 1);
          input_start_ = input_end_ - input.size();
          command(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
        }
      }
      if (input.size() == before) break;
    }
    flush();
  }

  void flush() {
    if (writing_ || !socket_.is_open()) return;
    while (sent_ < output_.size()) {
      boost::system::error_code error;
      sent_ +=
          socket_.write_some(asio::buffer(output_.data() + sent_, output_.size() - sent_), error);
      if (error == asio::error::would_block) {
        writing_ = true;
        socket_.async_wait(
            tcp::socket::wait_write,
            [self = shared_from_this()](const boost::system::error_code& wait_error) {
              self->writing_ = false;
              if (!wait_error) self->flush();
            });
        return;
      }
      if (error) return close();
    }
    output_.clear();
    sent_ = 0;
    if (closing_) return close();
    if (!paused_ && !reading_) wait_readable();
  }

  void wait_readable() {
    reading_ = true;
    socket_.async_wait(tcp::socket::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         self->reading_ = false;
                         if (!error) self->read();
                       });
  }

  void read() {
    if (input_start_ != 0) {
      std::copy(input_.begin() + static_cast<std::ptrdiff_t>(input_start_),
                input_.begin() + static_cast<std::ptrdiff_t>(input_end_), input_.begin());
      input_end_ -= input_start_;
      input_start_ = 0;
    }
    if (input_end_ == input_.size()) {
      say("500 5.5.2 Line too long");
      closing_ = true;
      return flush();
    }
    boost::system::error_code error;
    const std::size_t count = socket_.read_some(
        asio::buffer(input_.data() + input_end_, input_.size() - input_end_), error);
    if (error && error != asio::error::would_block) return close();
    input_end_ += count;
    work();
  }

  void close() {
    boost::system::error_code ignored;
    timer_.cancel();
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  void command(std::string_view line) {
    const std::string_view verb = line.substr(0, line.find(' '));
    const std::string_view arguments = line.substr(std::min(verb.size() + 1, line.size()));
    const auto is = [verb](std::string_view name) { return equals_ignoring_case(verb, name); };
    if (is("RCPT")) return recipient(arguments);
    if (is("MAIL")) return mail(arguments);
    if (is("DATA")) return data();
    if (is("EHLO") || is("LHLO") || is("HELO")) return hello(is("HELO"));
    if (is("QUIT")) {
      say("221 2.0.0 Bye");
      closing_ = true;
    } else if (is("RSET")) {
      reset();
      say("250 2.0.0 Ok");
    } else if (is("NOOP")) {
      say("250 2.0.0 Ok");
    } else if (is("VRFY")) {
      say("252 2.5.1 Send some mail");
    } else {
      say("500 5.5.2 Unknown command");
    }
  }

  void hello(bool plain) {
    reset();
    answer(Phase::ehlo, {}, [this, plain](const Verdict* verdict) {
      if (verdict != nullptr) return say(verdict->reply);
      const auto& extensions = shared_.options.extensions;
      if (plain || extensions.empty()) return say("250 " + shared_.options.hostname);
      say("250-" + shared_.options.hostname);
      for (std::size_t i = 0; i < extensions.size(); ++i) {
        say((i + 1 < extensions.size() ? "250-" : "250 ") + extensions[i]);
      }
    });
  }

  void mail(std::string_view arguments) {
    if (mail_given_) return say("503 5.5.1 Sender was given");
    sender_ = path_of(arguments);
    answer(Phase::mail, {}, [this](const Verdict* verdict) {
      mail_given_ = verdict == nullptr;
      refused_for_good_ = verdict != nullptr && verdict->code >= 500;
      say(verdict != nullptr ? verdict->reply : "250 2.1.0 Ok");
    });
  }

  void recipient(std::string_view arguments) {
    std::string address = path_of(arguments);
    if (!mail_given_) {
      // Pipelined behind a MAIL that a rule refused for good.
      if (refused_for_good_) shared_.arrivals.refused_for_good(address);
      return say("503 5.5.1 Need MAIL first");
    }
    const std::vector<std::string> one(1, address);
    answer(Phase::recipient, one, [this, address = std::move(address)](const Verdict* verdict) {
      if (verdict == nullptr) {
        recipients_.push_back(address);
        return say("250 2.1.5 Ok");
      }
      if (verdict->code >= 500) shared_.arrivals.refused_for_good(address);
      say(verdict->reply);
    });
  }

  void data() {
    if (recipients_.empty()) return say("503 5.5.1 Need RCPT first");
    answer(Phase::data, recipients_, [this](const Verdict* verdict) {
      if (verdict != nullptr) {
        refuse_all(*verdict);
        return say(verdict->reply);
      }
      data_ = DataReader();
      in_data_ = true;
      say("354 End with a dot");
    });
  }

  void end_of_data() {
    in_data_ = false;
    answer(Phase::close_after_dot, recipients_, [this](const Verdict* verdict) {
      if (verdict != nullptr) {
        ++shared_.cut;
        output_.clear();
        closing_ = true;
        return;
      }
      if (shared_.options.lmtp) return answer_each(0, {});
      answer(Phase::dot, recipients_, [this](const Verdict* refusal) {
        if (refusal != nullptr) {
          refuse_all(*refusal);
          say(refusal->reply);
        } else {
          accept(recipients_);
          say("250 2.0.0 Ok: received");
        }
        reset();
      });
    });
  }

  /// LMTP: a reply for each recipient in turn (RFC 2033 §4.2).
  void answer_each(std::size_t index, std::vector<std::string> accepted) {
    if (index == recipients_.size()) {
      if (!accepted.empty()) accept(std::move(accepted));
      return reset();
    }
    const std::vector<std::string> one(1, recipients_[index]);
    answer(Phase::dot, one, [this, index, accepted = std::move(accepted)](const Verdict* verdict) {
      std::vector<std::string> so_far = accepted;
      if (verdict == nullptr) {
        so_far.push_back(recipients_[index]);
        say("250 2.0.0 Ok: received");
      } else {
        if (verdict->code >= 500) shared_.arrivals.refused_for_good(recipients_[index]);
        say(verdict->reply);
      }
      answer_each(index + 1, std::move(so_far));
    });
  }

  void accept(std::vector<std::string> accepted) {
    Arrival arrival;
    arrival.sender = sender_;
    arrival.recipients = std::move(accepted);
    arrival.received = data_.received();
    shared_.arrived(arrival);
  }

  void refuse_all(const Verdict& verdict) {
    if (verdict.code < 500) return;
    for (const std::string& address : recipients_) shared_.arrivals.refused_for_good(address);
  }

  void reset() {
    mail_given_ = false;
    refused_for_good_ = false;
    sender_.clear();
    recipients_.clear();
  }

  Shared& shared_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::array<char, 65536> input_;
  std::size_t input_start_ = 0;
  std::size_t input_end_ = 0;
  std::string output_;
  std::size_t sent_ = 0;
  DataReader data_;
  std::string sender_;
  std::vector<std::string> recipients_;
  bool mail_given_ = false;
  bool refused_for_good_ = false;
  bool in_data_ = false;
  bool paused_ = false;  ///< a rule's delay runs: nothing further is handled
  bool reading_ = false;
  bool writing_ = false;
  bool closing_ = false;  ///< after what is still to be sent
};

/// Accepts on the first loop and deals the connections out in turn.
class Acceptor {
 public:
  Acceptor(Shared& shared, std::vector<std::unique_ptr<asio::io_context>>& loops,
           const tcp::endpoint& endpoint)
      : shared_(shared),
        loops_(loops),
        acceptor_(*loops.front(), endpoint),
        pause_(*loops.front()) {
    acceptor_.listen(4096);
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void accept() {
    asio::io_context& loop = *loops_[next_++ % loops_.size()];
    acceptor_.async_accept(
        loop, [this, &loop](const boost::system::error_code& error, tcp::socket socket) {
          if (error == asio::error::operation_aborted) return;
          if (error) {
            // Out of descriptors: those in use become free again.
            pause_.expires_after(std::chrono::milliseconds(100));
            pause_.async_wait([this](const boost::system::error_code& cancelled) {
              if (!cancelled) accept();
            });
            return;
          }
          ++shared_.connections;
          auto session = std::make_shared<Session>(shared_, std::move(socket));
          asio::post(loop, [session] { session->start(); });
          accept();
        });
  }

 private:
  Shared& shared_;
  std::vector<std::unique_ptr<asio::io_context>>& loops_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::size_t next_ = 0;
};

}  // namespace

SinkTotals run_sink(const SinkOptions& options, Arrivals& arrivals,
                    const std::function<void(const Endpoint&)>& listening,
                    const std::function<void(const SinkTotals&)>& asked) {
  load::raise_descriptor_limit();
  Shared shared(options, arrivals);
  std::vector<std::unique_ptr<asio::io_context>> loops;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards;
  for (std::uint32_t i = 0; i < options.threads; ++i) {
    loops.push_back(std::make_unique<asio::io_context>(1));
    guards.push_back(asio::make_work_guard(*loops.back()));
  }
  shared.enough = [&loops] {
    for (const auto& loop : loops) loop->stop();  // handlers that run now still send their replies
  };
  Acceptor acceptor(
      shared, loops,
      tcp::endpoint(asio::ip::make_address(options.listen.address), options.listen.port));
  asio::signal_set signals(*loops.front(), SIGINT, SIGTERM);
  signals.async_wait([&shared](const boost::system::error_code& error, int) {
    if (!error) shared.enough();
  });
  asio::signal_set questions(*loops.front(), SIGUSR1);
  std::function<void()> answer_questions = [&] {
    questions.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      asked(shared.totals());
      shared.fresh_arrival = 0;
      answer_questions();
    });
  };
  answer_questions();
  acceptor.accept();
  Endpoint bound = options.listen;
  bound.port = acceptor.port();
  listening(bound);

  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < loops.size(); ++i)
    threads.emplace_back([&loop = *loops[i]] { loop.run(); });
  loops.front()->run();
  for (std::thread& thread : threads) thread.join();
  return shared.totals();
}

}  // namespace mansio::sink
