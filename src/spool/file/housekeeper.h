// The chores of the spool, on one thread: the next segment is ready before it is needed, the index
// is flushed before a replay would take long, segments without live content are given back and
// nearly empty ones emptied, the high-water record follows.
// Thread safety: every function from any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "spool/file/committer.h"

namespace mansio::spool {

class Housekeeper {
 public:
  explicit Housekeeper(Store& store) : store_(store) {}

  ~Housekeeper() { stop(); }

  void start(Committer& committer);
  /// Wakes it now.
  void kick();
  /// Flushes the index and gives back what can be given back; returns when done.
  void checkpoint();
  void stop();
  std::vector<std::pair<std::string, double>> statistics() const;

 private:
  void run();
  void round(bool flush);
  void prepare();
  void flush_index();
  void relocate();
  void give_back_space(bool now);
  void note_high_water();

  Store& store_;
  Committer* committer_ = nullptr;

  std::mutex round_mutex_;           // one round at a time; guards the members below
  std::uint64_t flushed_total_ = 0;  // journal octets when the index was last flushed
  std::uint64_t rounds_ = 0, noted_group_ = 0;
  std::uint64_t written_total_ = 0,
                quiet_rounds_ = 0;  // as the last round found it, and since when

  mutable std::mutex mutex_;  // the members below
  std::condition_variable wake_;
  bool kicked_ = false, stopping_ = false;
  std::uint64_t recycled_ = 0, relocated_ = 0, flushes_ = 0;

  std::thread thread_;
};

}  // namespace mansio::spool
