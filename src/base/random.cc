#include "base/random.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace mansio {
namespace {

/// The kernel's generator, fetched some at a time.
class SystemRandom final : public Random {
 public:
  SystemRandom() { fill(); }

  std::uint64_t next() override {
    if (used_ == numbers_.size()) fill();
    return numbers_[used_++];
  }

 private:
  void fill() {
    // Up to 256 octets come whole once the kernel's pool is ready (getrandom(2)).
    static_assert(sizeof(numbers_) <= 256);
    ssize_t got = 0;
    do {
      got = ::getrandom(numbers_.data(), sizeof(numbers_), 0);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof(numbers_))) {
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    used_ = 0;
  }

  std::array<std::uint64_t, 32> numbers_{};
  std::size_t used_ = 0;
};

}  // namespace

std::unique_ptr<Random> make_system_random() { return std::make_unique<SystemRandom>(); }

}  // namespace mansio
