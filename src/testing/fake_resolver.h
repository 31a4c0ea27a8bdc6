// A DNS whose records a test sets. Thread safety: none; all on one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "dns/resolver.h"

namespace mansio::fake {

/// A name that nothing was set for does not exist (`no_domain`); one that has records of another
/// type only gives `no_data`.
class FakeResolver final : public dns::Resolver {
 public:
  /// `clock` is needed for set_delay() only; it outlives the resolver.
  explicit FakeResolver(Clock* clock = nullptr) : clock_(clock) {}

  void set_mx(const std::string& domain, std::vector<dns::MxRecord> records);
  /// What mx_now() gives, where mx() is to be the older answer.
  void set_mx_now(const std::string& domain, std::vector<dns::MxRecord> records);
  /// IPv4 and IPv6 addresses together, told apart by their form.
  void set_addresses(const std::string& host, const std::vector<std::string>& addresses);
  /// The answer to every question about the name, whatever records it has.
  void set_status(const std::string& name, dns::Status status,
                  std::string why = "as the test says");
  void set_mx_status(const std::string& name, dns::Status status);
  void set_address_status(const std::string& name, dns::Family family, dns::Status status);

  /// The name becomes one that nothing was set for.
  void forget(const std::string& name) { names_.erase(name); }

  /// Every question about the name takes so long.
  void set_delay(const std::string& name, Duration delay);

  std::size_t mx_calls(const std::string& name) const;
  /// Of both families.
  std::size_t address_calls(const std::string& name) const;

  std::size_t calls() const { return calls_; }

  Task<dns::MxAnswer> mx(std::string domain) override;
  Task<dns::MxAnswer> mx_now(std::string domain) override;
  Task<dns::AddressAnswer> addresses(std::string host, dns::Family family) override;

 private:
  struct Name {
    std::optional<dns::Status> mx_status;
    std::map<dns::Family, dns::Status> address_status;
    std::string why;
    std::vector<dns::MxRecord> mx;
    std::optional<std::vector<dns::MxRecord>> mx_now;
    std::map<dns::Family, std::vector<std::string>> addresses;
    Duration delay{};
  };

  Task<void> wait(std::string name);

  Clock* clock_;
  std::map<std::string, Name> names_;
  std::map<std::string, std::size_t> mx_calls_, address_calls_;
  std::size_t calls_ = 0;
};

}  // namespace mansio::fake
