// SPDX-License-Identifier: Apache-2.0
//
// For tests: a private certificate authority that issues good and bad certificates into a folder of
// its own, which goes with it.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace godwit::io {

struct CertificateWish {
  std::string common_name;
  /// As OpenSSL's configuration has them: "URI:sip:example.com", "DNS:a.example", "IP:127.0.0.1".
  std::vector<std::string> names;
  int from_days = -1;
  int to_days = 30;
  bool self_signed = false;
};

class CertificateAuthority {
 public:
  struct Files {
    std::string certificate;
    std::string key;
  };

  explicit CertificateAuthority(const std::string& name = "Test CA") {
    std::string pattern = (std::filesystem::temp_directory_path() / "godwit-ca-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    key_.reset(EVP_EC_gen("P-256"));
    CertificateWish wish;
    wish.common_name = name;
    certificate_ = make(wish, key_.get(), nullptr, "CA:TRUE");
    write_certificate(file(), certificate_.get());
  }
  ~CertificateAuthority() { std::filesystem::remove_all(folder_); }
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  /// The authority's own certificate, to be trusted.
  std::string file() const { return folder_ + "/ca.pem"; }
  std::string folder() const { return folder_; }

  Files issue(const CertificateWish& wish) {
    const Key key(EVP_EC_gen("P-256"));
    const auto certificate = make(wish, key.get(), wish.self_signed ? nullptr : this, "CA:FALSE");
    const std::string base = folder_ + "/" + std::to_string(++count_);
    write_certificate(base + ".pem", certificate.get());
    std::FILE* out = std::fopen((base + ".key").c_str(), "w");
    PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    return {base + ".pem", base + ".key"};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static Certificate make(const CertificateWish& wish, EVP_PKEY* key, CertificateAuthority* issuer,
                          const char* constraints) {
    constexpr long kDay = 24L * 3600;
    Certificate certificate(X509_new());
    X509* c = certificate.get();
    X509_set_version(c, X509_VERSION_3);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), wish.from_days * kDay);
    X509_gmtime_adj(X509_getm_notAfter(c), wish.to_days * kDay);
    if (!wish.common_name.empty()) {
      X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(wish.common_name.data()),
                                 static_cast<int>(wish.common_name.size()), -1, 0);
    }
    X509* signer = issuer == nullptr ? c : issuer->certificate_.get();
    X509_set_issuer_name(c, X509_get_subject_name(signer));
    X509_set_pubkey(c, key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, signer, c, nullptr, nullptr, 0);
    const auto extend = [&](int nid, const std::string& value) {
      const std::unique_ptr<X509_EXTENSION, Free> extension(
          X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
      if (!extension) throw std::runtime_error("no such extension: " + value);
      X509_add_ext(c, extension.get(), -1);
    };
    extend(NID_basic_constraints, constraints);
    std::string names;
    for (const std::string& name : wish.names) names += (names.empty() ? "" : ",") + name;
    if (!names.empty()) extend(NID_subject_alt_name, names);
    X509_sign(c, issuer == nullptr ? key : issuer->key_.get(), EVP_sha256());
    return certificate;
  }

  static void write_certificate(const std::string& path, X509* certificate) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
  }

  std::string folder_;
  Key key_;
  Certificate certificate_;
  int count_ = 0;
};

}  // namespace godwit::io
