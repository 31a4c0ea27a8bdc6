#include "smtp/outgoing.h"

namespace mansio::smtp {
namespace {

/// A piece more in a write costs about as much as copying so many octets.
constexpr std::size_t long_run = 1024;

}  // namespace

void Outgoing::copy(std::string_view octets) {
  if (octets.empty()) return;
  if (runs_.empty() || runs_.back().elsewhere != nullptr) runs_.emplace_back();
  copied_ += octets;
  runs_.back().size += octets.size();
  size_ += octets.size();
}

void Outgoing::refer(std::string_view octets) {
  if (!refers_ || octets.size() < long_run) return copy(octets);
  runs_.push_back({octets.data(), octets.size()});
  size_ += octets.size();
}

std::vector<boost::asio::const_buffer> Outgoing::buffers() const {
  std::vector<boost::asio::const_buffer> out;
  out.reserve(runs_.size());
  const char* copied = copied_.data();
  for (const Run& run : runs_) {
    out.emplace_back(run.elsewhere != nullptr ? run.elsewhere : copied, run.size);
    if (run.elsewhere == nullptr) copied += run.size;
  }
  return out;
}

std::string Outgoing::to_string() const {
  std::string out;
  out.reserve(size_);
  for (const boost::asio::const_buffer& piece : buffers()) {
    out.append(static_cast<const char*>(piece.data()), piece.size());
  }
  return out;
}

void Outgoing::clear() {
  copied_.clear();
  runs_.clear();
  size_ = 0;
}

}  // namespace mansio::smtp
