#include "delivery/route.h"

namespace mansio::delivery {

const char* to_text(TlsPolicy policy) {
  switch (policy) {
    case TlsPolicy::none:
      return "none";
    case TlsPolicy::opportunistic:
      return "opportunistic";
    case TlsPolicy::required:
      return "required";
  }
  return "";
}

}  // namespace mansio::delivery
