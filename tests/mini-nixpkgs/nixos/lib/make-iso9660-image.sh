for i in "${!targets[@]}"; do echo "${targets[$i]#/}=${sources[$i]}" >>pathlist; done
(out=nix-store.squashfs && eval "$squashfsCommand")
echo nix-store.squashfs=nix-store.squashfs >>pathlist

boot=
[ -z "$efiBootable" ] || boot="-eltorito-alt-boot -e $efiBootImage -no-emul-boot -isohybrid-gpt-basdat"
mkdir -p $out/iso $out/nix-support
# Identifiers and times that xorriso would take are given, so that the same contents give the same bytes.
xorriso -boot_image any gpt_disk_guid=$(uuid -v 5 daed2280-b91e-42c0-aed6-82c825ca41f3 $out | tr -d -) \
  -volume_date all_file_dates =$SOURCE_DATE_EPOCH \
  -as mkisofs -iso-level 3 -volid "$volumeID" -appid nixos -publisher nixos -graft-points -full-iso9660-filenames -joliet \
  $boot -r -path-list pathlist -output $out/iso/$isoName

file=$out/iso/$isoName
[ -z "$compressImage" ] || { zstd -q --rm $file && file=$file.zst; }
echo "file iso $file" >$out/nix-support/hydra-build-products
