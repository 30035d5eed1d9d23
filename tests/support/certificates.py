"""An authority of the test's own and its certificates."""
import subprocess


def openssl(*words, **options):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **options)


class Authority:
    """PEM files in a directory: `file` is what those trust who trust it."""

    def __init__(self, directory, name="authority"):
        self.directory = directory
        self.file = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self.made = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.file, "-days", "30", "-subj", f"/CN={name}")

    def issue(self, names="DNS:localhost,IP:127.0.0.1", days=30, usage="serverAuth"):
        """(certificate, key) for these names; with days=-1 one that has expired."""
        self.made += 1
        base = self.directory / f"{self.file.stem}-{self.made}"
        request, certificate, key = (base.with_suffix(end) for end in (".csr", ".crt", ".key"))
        extensions = base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", request, "-subj", "/CN=test")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key,
                "-CAcreateserial", "-out", certificate, "-days", days, "-extfile", extensions)
        return certificate, key
