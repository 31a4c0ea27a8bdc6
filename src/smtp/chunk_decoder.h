// Looks through the octets of BDAT chunks (RFC 3030). Their count says where they end, so nothing
// in them can; but what is not BODY=BINARYMIME is text, and keeps the rules of DATA for line ends
// and NUL. Pure.
#pragma once

#include <string>
#include <string_view>

#include "smtp/content_meter.h"

namespace mansio::smtp {

class ChunkDecoder final : public ContentMeter {
 public:
  /// `binary`: every octet is content as it is. `normalize`: see ContentMeter.
  ChunkDecoder(bool binary, bool normalize) : ContentMeter(normalize), binary_(binary) {}

  /// Takes all of `input` and appends content to `out`. Where chunks begin and end makes no
  /// difference. After a fault nothing more is appended.
  void decode(std::string_view input, std::string& out);

  /// The message ends here.
  void finish(std::string& out);

 private:
  const bool binary_;
  bool after_cr_ = false;  // a CR was read and not appended yet
};

}  // namespace mansio::smtp
