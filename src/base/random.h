// Random numbers as a port: production code uses the system's, tests and the simulator a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <random>

namespace mansio {

/// Thread safety: an object belongs to one event loop (or is guarded by its owner).
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
};

/// Reproducible sequence; the same seed gives the same numbers on every machine.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

/// A generator seeded from the operating system.
std::unique_ptr<Random> make_system_random();

}  // namespace mansio
