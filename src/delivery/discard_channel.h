// The channel of type `discard`: everything is delivered at once, to nowhere.
#pragma once

#include "delivery/channel.h"

namespace mansio::delivery {

/// Thread safety: run() on any loop.
class DiscardChannel final : public Channel {
 public:
  Task<SessionReport> run(SessionRequest request, WorkSource& source) override;
  std::string describe(const std::string& destination) const override;
};

}  // namespace mansio::delivery
