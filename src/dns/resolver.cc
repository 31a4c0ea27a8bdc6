#include "dns/resolver.h"

namespace mansio::dns {

const char* to_text(Status status) {
  switch (status) {
    case Status::found:
      return "found";
    case Status::no_data:
      return "no_data";
    case Status::no_domain:
      return "no_domain";
    case Status::temporary:
      return "temporary";
  }
  return "";
}

}  // namespace mansio::dns
