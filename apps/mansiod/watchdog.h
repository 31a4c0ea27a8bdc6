// Tells systemd that the daemon is alive: only when the control thread runs and every event loop
// has answered since the last time. A loop that hangs ends the process, and a restart recovers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace mansio::daemon {

/// Runs on: `control`. Does nothing where no watchdog is asked for.
class Watchdog {
 public:
  Watchdog(Clock& clock, boost::asio::any_io_executor control,
           std::vector<boost::asio::any_io_executor> loops);

  void start();
  void stop();

 private:
  void ask();
  void look();

  boost::asio::any_io_executor control_;
  const std::vector<boost::asio::any_io_executor> loops_;
  Clock& clock_;
  std::unique_ptr<Timer> timer_;
  Duration interval_{};
  std::shared_ptr<std::size_t>
      answered_;  // of this round; answers of an earlier one have their own
};

}  // namespace mansio::daemon
