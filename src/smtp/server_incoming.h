// One message on its way in, by DATA or in chunks; internal to smtp/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "smtp/chunk_decoder.h"
#include "smtp/server.h"

namespace mansio::smtp {

struct Incoming {
  Incoming(bool its_binary, bool normalize) : binary(its_binary), chunks(its_binary, normalize) {}

  const bool binary;                          ///< BODY=BINARYMIME
  std::size_t recipients = 0;                 ///< accepted ones
  SteadyTime deadline{};                      ///< of the whole message
  std::unique_ptr<ContentReceiver> receiver;  ///< null: refused from the start

  std::optional<Reply> failure;  ///< the first refusal; what follows is read and dropped
  std::string piece;             ///< decoded, not yet with the receiver
  ChunkDecoder chunks;           ///< used by BDAT alone

  // The minimum rate is measured over windows of a minute.
  SteadyTime window_deadline{};
  std::uint64_t in_window = 0;
};

}  // namespace mansio::smtp
