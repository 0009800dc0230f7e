// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace godwit::runtime {
namespace {

class File {
 public:
  File(const std::string& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

tl::unexpected<Error> error_of(const std::string& path, int number) {
  return fail(ErrorCode::Io, path + ": " + std::generic_category().message(number));
}

}  // namespace

std::optional<std::string> FileStore::load(const std::string& key) {
  const File file(folder_ + "/" + key, O_RDONLY);
  if (!file.is_open()) return std::nullopt;
  std::array<char, kMaxBytes + 1> buffer{};
  std::size_t length = 0;
  while (length < buffer.size()) {
    const ssize_t got = ::read(file.get(), buffer.data() + length, buffer.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  if (length > kMaxBytes) return std::nullopt;
  std::string text(buffer.data(), length);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<void> FileStore::save(const std::string& key, const std::string& value) {
  if (value.size() >= kMaxBytes) return fail(ErrorCode::InvalidArgument, key + " is too long");
  std::error_code made;
  std::filesystem::create_directories(folder_, made);
  if (made) return fail(ErrorCode::Io, folder_ + ": " + made.message());
  const std::string path = folder_ + "/" + key;
  // Of this process, so that two that start at once do not write into the same file.
  const std::string draft = path + "." + std::to_string(::getpid());
  ::unlink(draft.c_str());
  {
    const File file(draft, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.is_open()) return error_of(draft, errno);
    const std::string text = value + "\n";
    std::size_t written = 0;
    while (written < text.size()) {
      const ssize_t put = ::write(file.get(), text.data() + written, text.size() - written);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        const int number = errno;
        ::unlink(draft.c_str());
        return error_of(draft, number);
      }
      written += static_cast<std::size_t>(put);
    }
    if (::fsync(file.get()) != 0) {
      const int number = errno;
      ::unlink(draft.c_str());
      return error_of(draft, number);
    }
  }
  if (std::rename(draft.c_str(), path.c_str()) != 0) {
    const int number = errno;
    ::unlink(draft.c_str());
    return error_of(path, number);
  }
  return {};
}

}  // namespace godwit::runtime
