// The folder where programs of this machine leave mail while the daemon does not take it
// (docs/FORMATS.md). Every few seconds it is read: a message in it goes through the receiver that
// every message goes through, under the id that is its file's name, and its file is deleted when
// the spool has committed it. A crash in between is harmless: a message whose id the queue knows
// already is not taken again, only its file goes.
//
// Whoever may write into the folder may put anything there. Nothing is followed, opened twice or
// believed: what is not a plain file with one link, not a message of ours, damaged, or refused for
// good stays where it is, is counted and logged once, and never stops the rest.
//
// It reads from disk, so it runs on an event loop of its own and on none that delivers.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/event.h"
#include "base/task_group.h"
#include "edge/admission.h"
#include "edge/edge_statistics.h"
#include "settings/settings.h"

namespace mansio::edge {

/// Thread safety: every counter by itself.
struct MaildropStatistics {
  std::atomic<std::uint64_t> accepted{0};  ///< messages taken out of the folder
  std::atomic<std::uint64_t> left{0};      ///< files of the last pass that cannot be taken
};

/// Whether a message with some id is or was in the queue.
enum class Known : std::uint8_t {
  no,
  yes,
  unsure,  ///< it cannot be told now
};

/// Thread safety: statistics() and reload() from any thread; start() and stop() from the owner.
class Maildrop {
 public:
  struct Ports {
    Admission& admission;
    std::function<Task<Known>(QueueId)> known;
    Clock& clock;
    boost::asio::any_io_executor executor;  ///< runs until stop() has completed
  };

  Maildrop(Ports ports, std::shared_ptr<const settings::Settings> settings);
  /// REQUIRES: stop() has completed, or start() was never called.
  ~Maildrop();

  void start();
  /// Another folder, or other limits, from the next pass on.
  void reload(std::shared_ptr<const settings::Settings> settings);
  /// Messages that are being taken may end until `deadline`; the others stay in the folder.
  Task<void> stop(SteadyTime deadline);

  const MaildropStatistics& statistics() const { return statistics_; }

 private:
  class Folder;
  struct Candidate;
  enum class Taken : std::uint8_t { done, later, never };

  Task<void> watch();
  Task<void> pass(std::shared_ptr<const settings::Settings> settings);
  Task<void> take(std::shared_ptr<const Folder> folder, Candidate candidate,
                  std::shared_ptr<const settings::Settings> settings);
  Task<Taken> admit(const Folder& folder, const Candidate& candidate,
                    const settings::Settings& settings, std::string& why);
  void leave(const Candidate& candidate, const std::string& why);
  Task<void> stop_here(SteadyTime deadline);

  const Ports ports_;
  MaildropStatistics statistics_;
  EdgeStatistics received_;
  TaskGroup group_;

  std::mutex mutex_;
  std::shared_ptr<const settings::Settings> settings_;  // guarded by mutex_

  // Runs on: ports_.executor
  bool stopping_ = false;
  std::size_t busy_ = 0;  // messages being taken
  Event changed_;
  std::string trouble_;           // with the folder, as logged last
  bool told_of_failure_ = false;  // to open a file; one line in a pass is enough
  std::shared_ptr<const settings::Settings> judged_by_;  // of the last pass
  std::map<std::string, std::string>
      known_bad_;  // name -> what the file looked like when it was logged
  std::map<std::string, std::string> seen_bad_;  // the same, of the pass under way
};

}  // namespace mansio::edge
