// Records what is said on the next session to a destination, for an operator who asked for it.
// Secrets (the arguments of AUTH and what answers its challenges) and message content never get
// into a trace: both are replaced by their size.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"

namespace mansio::delivery {

struct TraceLine {
  enum class Side : std::uint8_t { us, them, note };  ///< note: connects, handshakes, errors
  Time at{};
  Side side = Side::note;
  std::string text;  ///< one line without its end; at most 1,000 octets
};

/// One trace: waits for a session, is written by it, and can be read meanwhile.
/// Thread safety: every function from any thread.
class Trace {
 public:
  enum class State : std::uint8_t { waiting, running, over };

  struct View {
    State state = State::waiting;
    std::vector<TraceLine> lines;  ///< from the line asked for
    std::size_t lines_total = 0;
    bool cut = false;  ///< the session said more than lines_max lines
  };

  static constexpr std::size_t lines_max = 5000;

  void add(TraceLine line);
  void set_state(State state);
  View view(std::size_t from_line) const;
  State state() const;

 private:
  mutable std::mutex mutex_;
  View seen_;  // guarded by mutex_
};

/// The traces that operators asked for. Bounded: at most `traces_max` at a time, and one that
/// nobody reads for `forget_after` is forgotten.
/// Thread safety: every function from any thread.
class TraceBook {
 public:
  static constexpr std::size_t traces_max = 16;

  explicit TraceBook(Clock& clock, Duration forget_after = std::chrono::minutes(10));

  /// Asks for the next session that is opened to the destination. 0: too many at a time.
  std::uint64_t ask(std::string destination);
  void forget(std::uint64_t number);
  std::shared_ptr<Trace> find(std::uint64_t number);
  /// For a session that is about to connect: the trace that waits for it, now `running`; it is
  /// `over` when the last copy of this pointer is gone. Null: none; costs one atomic read then.
  std::shared_ptr<Trace> take(const std::string& destination);

 private:
  struct Asked {  // of a destination in lower case
    std::string destination;
    std::shared_ptr<Trace> trace;
    SteadyTime read_at{};
  };

  void sweep();    // REQUIRES: mutex_ held
  void recount();  // the same

  Clock& clock_;
  const Duration forget_after_;
  std::mutex mutex_;
  std::map<std::uint64_t, Asked> asked_;  // guarded by mutex_
  std::uint64_t last_ = 0;                // guarded by mutex_
  std::atomic<std::size_t> waiting_{0};
};

/// A stream that notes what passes through it: commands and replies line by line, content as its
/// size. Control octets are shown as \xNN.
std::unique_ptr<Stream> traced(std::unique_ptr<Stream> stream, std::shared_ptr<Trace> trace,
                               Clock& clock);

}  // namespace mansio::delivery
