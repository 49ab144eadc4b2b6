# An expression that people wrote, of the shape of nixpkgs' own solo5: old version, old habits.
{ lib, stdenv, fetchurl, syslinux }:

let
  version = "0.8.1";
  # --replace in a comment is nobody's option
  tenders = [
    "hvt"
    "spt"
  ];
in stdenv.mkDerivation {
  pname = "solo5";
  inherit version;

  src = fetchurl {
    url = "https://github.com/Solo5/solo5/releases/download/v${version}/solo5-v${version}.tar.gz";
    sha256 = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };

  hardeningEnable = [ "pie" ];

  unpackPhase = ''
    runHook preUnpack
    tar -xzf "$src" --strip-components=1
    runHook postUnpack
  '';

  configurePhase = ''
    runHook preConfigure
    sh configure.sh --prefix=/ --replace nothing
    runHook postConfigure
  '';

  dontBuild = true;
  enableParallelBuilding = true;
    # indented like nothing else

  installPhase = ''
    runHook preInstall
    mkdir -p $out/bin
    cp mkimage.sh $out/bin/solo5-virtio-mkimage

    substituteInPlace $out/bin/solo5-virtio-mkimage \
      --replace "/usr/lib/syslinux" "${syslinux}/share/syslinux" \
      --replace "cp " "cp --no-preserve=mode " \
      --replace " -no-longer-there" ""

    echo ${toString tenders} > $out/tenders
    runHook postInstall
  '';

  dontFixup = true;

  meta = with lib; {
    description = "Sandbox for unikernels";
    homepage = "https://example.org/solo5";
    license = licenses.isc;
    maintainers = [ maintainers.example ];
    platforms = [ "x86_64-linux" ];
  };

}
