#include "mansiod/return_paths.h"

#include <memory>

#include "dsn/return_token.h"

namespace mansio::daemon {

delivery::ReturnPaths return_paths(const settings::Bounces& bounces) {
  delivery::ReturnPaths paths;
  if (bounces.domain.empty()) return paths;
  const auto tokens = std::make_shared<const dsn::ReturnTokens>(bounces.secret, bounces.domain);
  if (bounces.verp) {
    paths.reverse_path = [tokens](const QueueId& id, std::uint32_t recipient) {
      return tokens->address({id, recipient});
    };
  }
  if (bounces.envelope_id) {
    // A token holds nothing that xtext would write differently.
    paths.envelope_id = [tokens](const QueueId& id, std::optional<std::uint32_t> recipient) {
      return tokens->token({id, recipient});
    };
  }
  return paths;
}

}  // namespace mansio::daemon
