// A channel over any mansio::Target: each work is one delivery by the target contract
// (include/mansio/target.hpp). What a target throws is a deferral, never a failure.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "delivery/channel.h"

namespace mansio::delivery {

/// Thread safety: run() on any loop, as far as the target allows it.
class TargetChannel final : public Channel {
 public:
  /// `name` is what describe() says.
  TargetChannel(std::shared_ptr<Target> target, std::string name);

  Task<SessionReport> run(SessionRequest request, WorkSource& source) override;
  std::string describe(const std::string& destination) const override;

  /// Statuses that the target left out, and deliveries that it ended by an exception.
  std::uint64_t faults() const { return faults_; }

 private:
  Task<std::vector<Disposition>> deliver(Work& work, ContentReader& content, std::string& why,
                                         bool& stopped);

  std::shared_ptr<Target> target_;
  std::string name_;
  std::atomic<std::uint64_t> faults_ = 0;
};

}  // namespace mansio::delivery
