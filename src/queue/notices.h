// Failure notices: decides whether one is wanted, fetches the part of the original that it returns,
// and has it built, ready to be admitted in the same operation as the outcome that causes it.
// The guards (never about a notice, never to the null path) stand here, outside the BounceBuilder.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/stream.h"
#include "dsn/bounce_builder.h"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio::queue {

/// Thread safety: any loop; each call is independent.
class NoticeMaker {
 public:
  struct Ports {
    spool::Spool& spool;
    Clock& clock;
    std::function<QueueId()> new_id;  ///< thread safe
    std::unique_ptr<Random> random;
    std::unique_ptr<dsn::BounceBuilder> builder;
  };

  explicit NoticeMaker(Ports ports) : ports_(std::move(ports)) {}

  /// The notices about those failures that are to be reported; empty if there are none. If the
  /// content of the original cannot be read, they go without it: the sender is told in any case.
  Task<std::vector<spool::Admit>> make(std::shared_ptr<const Message> original,
                                       std::vector<dsn::FailedRecipient> failed,
                                       std::shared_ptr<const settings::Settings> settings);

 private:
  std::uint64_t random();

  Ports ports_;
  std::mutex random_mutex_;  // guards ports_.random
};

}  // namespace mansio::queue
